"""A tokenized dataset: its catalog, what codes can be judged by, and how both are saved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from jaxtyping import Float32, Int32

from beamwise.catalog import Catalog
from beamwise.data.dataset import CATALOG_FOLDER, QUALITY_FOLDER, TOKENIZER_FOLDER
from beamwise.tokenization.codes import codes_of
from beamwise.tokenization.fitted import FittedTokenizer

VERSIONS_FILE = "versions.jsonl"
"""In the tokenizer's folder: a line for every catalog that it made, the newest last."""


@dataclass(frozen=True, eq=False)
class Tokenized:
    """Items with their tokens, and where these are codes what there is to judge them by."""

    catalog: Catalog
    codebook_size: int | None = None
    """None where tokens are no codes, as those of titles."""
    num_code_levels: int | None = None
    """Levels that a quantizer made; one that only tells equal codes apart comes after them."""
    vectors: Float32[np.ndarray, "items dim"] | None = None
    """The items in the space in which near items should have like codes; None without texts."""
    tokenizer: FittedTokenizer | None = None
    """None where codes were given: then no code can be made for further items."""
    facts: dict[str, int] = field(default_factory=dict)
    """What settling collisions took."""

    @property
    def codes(self) -> Int32[np.ndarray, "items levels"]:
        """Every item's codes, where it has some."""
        assert self.codebook_size is not None
        return codes_of(self.catalog, self.codebook_size)

    def save(self, folder: Path) -> None:
        """Put catalog and fitted tokenizer into a dataset folder, in place of earlier ones.

        The report on earlier codes goes with them.
        """
        with beside(folder) as made:
            self.catalog.save(made / CATALOG_FOLDER)
            if self.tokenizer is not None:
                self.tokenizer.save(made / TOKENIZER_FOLDER)
                note_version(made / TOKENIZER_FOLDER, self.catalog, {"fitted": True})
            swap(made, folder, (QUALITY_FOLDER, TOKENIZER_FOLDER, CATALOG_FOLDER))


def retired_before(folder: Path) -> pl.Series:
    """Ids of the items that the catalog of a dataset folder has retired; none where it has none.

    Raises:
        ValueError: If the catalog is damaged.
    """
    if not (folder / CATALOG_FOLDER).exists():
        return pl.Series("item_id", [], pl.String)
    try:
        return Catalog.load(folder / CATALOG_FOLDER).retired_ids
    except ValueError as error:
        raise ValueError(
            f"{error}; it says which items are retired, so remove {folder / CATALOG_FOLDER} "
            "yourself if no item is"
        ) from None


def still_retired(catalog: Catalog, retired: pl.Series) -> Catalog:
    """The catalog with those of its items retired that are among `retired`."""
    return catalog.with_retired(retired.filter(retired.is_in(catalog.item_ids.implode())))


def note_version(folder: Path, catalog: Catalog, change: dict[str, object]) -> None:
    """Add a line about a new catalog to the history in a tokenizer's folder."""
    line = {"version": catalog.version, "items": catalog.num_items, **change}
    with (folder / VERSIONS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """A temporary folder within the dataset's, so on the same file system."""
    with TemporaryDirectory(prefix=".made-", dir=folder) as made:
        yield Path(made)


def swap(made: Path, folder: Path, names: Sequence[str]) -> None:
    """Put what was made in the place of what was there; what was not made is removed.

    Args:
        made: From `beside`.
        folder: The dataset's.
        names: Of files and folders in both; a path for one in a folder.

    Raises:
        OSError: If a move fails; all moves before it are taken back then.
    """
    moves: list[tuple[Path, Path]] = []
    for name in names:
        moves += [(folder / name, made / "previous" / name), (made / name, folder / name)]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
                done.append((source, target))
    except BaseException:  # an interruption too: a catalog must not stand beside other items
        for source, target in reversed(done):
            target.rename(source)
        raise
