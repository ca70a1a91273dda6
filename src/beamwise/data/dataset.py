"""A dataset: interactions, items, and the semantic IDs and targets that were published with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from beamwise.data.interactions import Interactions
from beamwise.data.parquet_files import read_table
from beamwise.data.published_targets import TARGETS_FILE, published_parts, read_targets

INTERACTIONS_FILE = "interactions.parquet"
ITEMS_FILE = "items.parquet"
SEMANTIC_IDS_FILE = "semantic_ids.parquet"
CARD_FILES = ("data_card.md", "data_card.json")
CATALOG_FOLDER, TOKENIZER_FOLDER = "catalog", "tokenizer"
"""What `beamwise tokenize` adds; it goes with the data that it was made from."""
QUALITY_FOLDER = "quality"
"""Its report on the codes."""
EMBEDDINGS_FOLDER = "embeddings"
"""Vectors of items by the content that they were made from, so they outlive the dataset."""
FOLDERS = (CATALOG_FOLDER, TOKENIZER_FOLDER, QUALITY_FOLDER, EMBEDDINGS_FOLDER)
FILES = (INTERACTIONS_FILE, ITEMS_FILE, SEMANTIC_IDS_FILE, TARGETS_FILE)
ITEM_COLUMNS = {"item_id": pl.String, "title": pl.String}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions and the items that can be recommended, those that nobody took included.

    Raises:
        ValueError: If a column is missing or of another type, an item id repeats or is null, the
            interactions or semantic IDs name an item that `items` has not, or the targets do not
            fit the interactions.
    """

    interactions: Interactions
    items: pl.DataFrame
    """item_id String and title String (null where unknown), and whatever else the source tells; the
    order of the rows is that of the item indices."""
    semantic_ids: pl.DataFrame | None = None
    """item_id String and codes List(Int32)."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """What the source counted while it read, as rows dropped; not saved."""
    has_times: bool = True
    """Whether timestamps are times, and not the order of the rows for want of them; not saved."""
    targets: pl.DataFrame | None = None
    """Where the data came with a split, its targets: user_id String, position Int64 in the user's
    items from 0, part String (training, validation, test)."""

    def __post_init__(self) -> None:
        _check_columns("items", self.items, ITEM_COLUMNS)
        _check_known("the interactions", self.interactions.item_ids, self.items)
        if self.semantic_ids is not None:
            expected = {"item_id": pl.String, "codes": pl.List(pl.Int32)}
            _check_columns("semantic IDs", self.semantic_ids, expected)
            _check_known("the semantic IDs", self.semantic_ids["item_id"], self.items)
        if self.targets is not None:
            published_parts(self.targets, self.interactions)

    def save(self, folder: Path, *, overwrite: bool = False, keep: Iterable[Path] = ()) -> None:
        """Write the tables as Parquet into `folder`: all of them, or after a failure none.

        A dataset that is already there is replaced, its catalog removed; so is an empty folder.
        Embeddings stay, since they are found by content.

        Args:
            folder: Where to write; parents are made.
            overwrite: Replace the folder whatever it holds.
            keep: Files and folders that must not be removed whatever is asked.

        Raises:
            ValueError: As `check_replaceable`.
        """
        check_replaceable(folder, overwrite=overwrite, keep=keep)
        folder = folder.resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
            made = Path(beside) / "made"
            made.mkdir()
            self.interactions.write(made / INTERACTIONS_FILE)
            self.items.write_parquet(made / ITEMS_FILE)
            if self.semantic_ids is not None:
                self.semantic_ids.write_parquet(made / SEMANTIC_IDS_FILE)
            if self.targets is not None:
                self.targets.write_parquet(made / TARGETS_FILE)
            _replace(folder, made)

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Read a saved dataset and check it.

        Raises:
            ValueError: One line, if the folder or a file is missing, a file is not readable, or the
                tables do not fit together.
        """
        if not folder.is_dir():
            raise ValueError(f"no dataset folder at {folder}: run `beamwise prepare` to make one")
        interactions = Interactions.read(folder / INTERACTIONS_FILE)
        items = read_table(folder / ITEMS_FILE)
        path = folder / SEMANTIC_IDS_FILE
        semantic_ids = read_table(path) if path.exists() else None
        targets = read_targets(folder / TARGETS_FILE)
        try:
            return cls(interactions, items, semantic_ids, targets=targets)
        except ValueError as error:
            raise ValueError(f"{folder}: {error}") from None


def read_items(folder: Path) -> pl.DataFrame:
    """The items of a dataset folder, without its interactions.

    Raises:
        ValueError: If the folder or its file is missing, or the table is not one of items.
    """
    if not folder.is_dir():
        raise ValueError(f"no dataset folder at {folder}: run `beamwise prepare` to make one")
    items = read_table(folder / ITEMS_FILE)
    try:
        _check_columns("items", items, ITEM_COLUMNS)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    return items


def _check_columns(name: str, table: pl.DataFrame, expected: Mapping[str, object]) -> None:
    for column, dtype in expected.items():
        if column not in table.columns:
            raise ValueError(
                f"{name} have no column {column!r}: needed are {', '.join(expected)}, "
                f"got {', '.join(table.columns) or 'none'}"
            )
        if table.schema[column] != dtype:
            raise ValueError(
                f"column {column!r} of the {name} is {table.schema[column]}: cast it to {dtype}"
            )
    ids = table["item_id"]
    if ids.null_count():
        raise ValueError(f"item_id is null in row {ids.is_null().arg_max()} of the {name}")
    if ids.n_unique() != len(ids):
        repeated = ids.filter(ids.is_duplicated())[0]
        raise ValueError(f"item {repeated!r} stands more than once in the {name}: keep one row")


def _check_known(source: str, item_ids: pl.Series, items: pl.DataFrame) -> None:
    unknown = item_ids.filter(~item_ids.is_in(items["item_id"].implode()))
    if len(unknown):
        raise ValueError(f"item {unknown[0]!r} of {source} is not among the items: add it")


def check_replaceable(folder: Path, *, overwrite: bool, keep: Iterable[Path] = ()) -> None:
    """Refuse to write a dataset where something would be lost.

    Args:
        folder: Where it is to be written; maybe there is nothing yet.
        overwrite: Whether the folder may hold what is no dataset, or a fitted tokenizer.
        keep: What must not be removed whatever is asked, as the files that are read.

    Raises:
        ValueError: If `folder` is a file, or is or contains the current working directory or one of
            `keep`; or without `overwrite` if it holds a tokenizer or other things.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder for the dataset")
    for path in keep:
        if _is_within(path, folder):
            what = "is" if path.resolve() == folder.resolve() else f"holds {path}, which is"
            raise ValueError(
                f"{folder} {what} read and would be removed: name another folder to write"
            )
    if _is_within(Path(), folder):
        raise ValueError(
            f"{folder} is or holds the current working directory, which would be removed: "
            "name another folder to write"
        )
    if not overwrite:
        _check_nothing_lost(folder)


def _check_nothing_lost(folder: Path) -> None:
    known = {*FILES, *CARD_FILES, *FOLDERS}
    others = sorted(entry.name for entry in folder.iterdir() if entry.name not in known)
    if others:
        raise ValueError(
            f"{folder} holds {others[0]!r}, which no dataset has: name another folder, "
            "or overwrite it (--overwrite)"
        )
    if (folder / TOKENIZER_FOLDER).exists():
        raise ValueError(
            f"{folder} holds a tokenizer fitted to the items there, which would be lost: name "
            f"another folder (then `beamwise tokenize NEW --like {folder}` keeps the codes), "
            "or overwrite it (--overwrite)"
        )


def _is_within(path: Path, folder: Path) -> bool:
    """Whether the folder is or contains the path, or a link on the way to it."""
    folder = folder.resolve()
    parent = path.absolute().parent.resolve()  # of the link itself, where it is one
    return any(p == folder or folder in p.parents for p in (path.resolve(), parent / path.name))


def _replace(folder: Path, made: Path) -> None:
    """Put `made` in the place of `folder`, and what was there beside `made`."""
    if not folder.exists():
        made.rename(folder)
        return
    previous = made.with_name("previous")
    folder.rename(previous)
    try:
        if (previous / EMBEDDINGS_FOLDER).is_dir():
            (previous / EMBEDDINGS_FOLDER).rename(made / EMBEDDINGS_FOLDER)
        made.rename(folder)
    except BaseException:  # an interruption too must leave what was there
        if (made / EMBEDDINGS_FOLDER).is_dir():
            (made / EMBEDDINGS_FOLDER).rename(previous / EMBEDDINGS_FOLDER)
        previous.rename(folder)
        raise
