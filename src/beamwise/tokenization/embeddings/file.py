"""Embedding `file`: vectors that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from jaxtyping import Float32

from beamwise.data.bad_input import bad_file
from beamwise.tokenization.embeddings.base import EmbeddingConfig, Progress, rows_of
from beamwise.tokenization.embeddings.fingerprint import file_fingerprint, strings_fingerprint
from beamwise.tokenization.embeddings.state import load_state, save_state
from beamwise.tokenization.embeddings.vector_file import read_vectors

FORM = "a Parquet or CSV file with item_id and a list column 'vector' or columns of numbers"


class FileConfig(EmbeddingConfig):
    """Vectors from a file, taken as they are."""

    FREE_LATER: ClassVar[frozenset[str]] = frozenset({"file", "unknown"})

    name: Literal["file"] = "file"
    file: Path
    """`.npy` with a row for each item in the order of the items; or `.parquet` or `.csv` with
    `item_id` and either a list column `vector` (Parquet) or only columns of numbers beside it."""
    unknown: Literal["refuse", "ignore"] = "refuse"
    """What to do with vectors of items that the dataset has not, as after filtering."""


class FileEmbedding:
    """The vectors of one file, by item."""

    def __init__(
        self, config: FileConfig, item_ids: pl.Series, vectors: Float32[np.ndarray, "rows dim"]
    ) -> None:
        self.config = config
        self.item_ids = item_ids
        self.vectors = vectors

    def embed(
        self, items: pl.DataFrame, progress: Progress | None = None
    ) -> Float32[np.ndarray, "items dim"]:
        """The vectors of `items` as the file has them.

        Raises:
            ValueError: If the file has no vector for an item.
        """
        rows = rows_of(self.item_ids, items)
        missing = items["item_id"].filter(rows.is_null())
        if len(missing):
            raise ValueError(
                f"{self.config.file} has no vector for item {missing[0]!r} ({len(missing):,} of "
                f"{len(items):,} items): embed those items as the others were, write {FORM}, and "
                "--set embedding.file=FILE"
            )
        if progress is not None:
            progress(len(items), len(items))
        return self.vectors[rows.to_numpy()]

    def save(self, folder: Path) -> None:
        """Write how long vectors are and, for a file without ids, whose they are."""
        named = self.config.file.suffix.lower() != ".npy"
        facts = {
            "dim": self.vectors.shape[1],
            "item_ids": None if named else self.item_ids.to_list(),
        }
        save_state(folder, self.config, facts, {})


def fit_file(
    config: FileConfig, items: pl.DataFrame, _progress: Progress | None = None
) -> FileEmbedding:
    """Read and check the file.

    Raises:
        ValueError: One line with file, row and column, if the file is not readable, has no vector
            for an item, one of an item that is not there, or a number that is not finite.
    """
    item_ids, vectors = read_vectors(config.file)
    if item_ids is None:
        item_ids = _ids_of_rows(config.file, len(vectors), items["item_id"])
    strangers = item_ids.filter(~item_ids.is_in(items["item_id"].implode()))
    if len(strangers) and config.unknown == "refuse":
        raise ValueError(
            f"{config.file} has vectors of {len(strangers):,} items that the dataset has not, the "
            f"first is {strangers[0]!r}: drop their rows, or --set embedding.unknown=ignore"
        )
    return FileEmbedding(config, item_ids, vectors)


def load_file_embedding(config: FileConfig, folder: Path) -> FileEmbedding:
    """Read the file of `config`, which may be another than that of the fit, with the new items.

    Raises:
        ValueError: As `fit_file`, or if vectors have another length than those of the fit.
    """
    facts, _ = load_state(folder, config)
    item_ids, vectors = read_vectors(config.file)
    if vectors.shape[1] != facts["dim"]:
        raise bad_file(
            config.file,
            f"has vectors of {vectors.shape[1]} numbers, those of the fit have {facts['dim']}",
            "embed new items as the others were",
        )
    if item_ids is None:
        if facts["item_ids"] is None:
            raise bad_file(config.file, "names no items", f"write {FORM}")
        fitted = pl.Series("item_id", facts["item_ids"], dtype=pl.String)
        item_ids = _ids_of_rows(config.file, len(vectors), fitted)
    return FileEmbedding(config, item_ids, vectors)


def file_content_fingerprint(config: FileConfig, items: pl.DataFrame) -> str:
    """A hash of the file and of the items' ids in their order."""
    return f"{file_fingerprint(config.file)} {strings_fingerprint(items['item_id'])}"


def _ids_of_rows(path: Path, num_rows: int, item_ids: pl.Series) -> pl.Series:
    """The ids of the items whose vectors stand in a file without ids."""
    if num_rows != len(item_ids):
        raise bad_file(
            path,
            f"has {num_rows:,} rows for {len(item_ids):,} items",
            f"give it one row for each item in the order of the items, or write {FORM}",
        )
    return item_ids
