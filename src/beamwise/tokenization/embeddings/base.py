"""What an embedding of items is: fitted once, then ready for any items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Float32
from pydantic import Field, PositiveInt

from beamwise.config import Config
from beamwise.tokenization.item_texts import Missing, item_texts

AnyConfig = TypeVar("AnyConfig", bound="EmbeddingConfig")
Progress = Callable[[int, int], None]
"""Called with how many items are done, and of how many."""


@runtime_checkable
class Embedding(Protocol):
    """Gives items their vectors, also items that are added later."""

    def embed(
        self, items: pl.DataFrame, progress: Progress | None = None
    ) -> Float32[np.ndarray, "items dim"]:
        """The vectors of `items`, in their order, all finite.

        An item's vector depends on that item alone, not on the others that are asked for.

        Raises:
            ValueError: If an item has nothing to embed, as the settings say.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write into `folder` what `load` needs, beside the settings, to embed further items."""
        ...


class EmbeddingConfig(Config):
    """Settings that every embedding has; `name` tells them apart."""

    ONLY_SPEED: ClassVar[frozenset[str]] = frozenset()
    """Settings that change how fast vectors come, not what they are."""
    FREE_LATER: ClassVar[frozenset[str]] = frozenset()
    """Settings that may be others when items are added to a fitted embedding."""

    def at(self: AnyConfig, folder: Path) -> AnyConfig:
        """The same for the dataset in `folder`, should more than its items be read."""
        del folder
        return self


class TextEmbeddingConfig(EmbeddingConfig):
    """Settings of an embedding of the items' texts."""

    FREE_LATER: ClassVar[frozenset[str]] = frozenset({"missing"})

    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Columns of the item table that make up an item's text, in this order; the title, then all
    other columns of text, where null."""
    missing: Missing = "refuse"
    """Items without text: `refuse` them, or take them as `blank`, which gives all of them the zero
    vector, so that only the collision rule separates them."""
    max_chars: PositiveInt = 1000
    """Characters kept of each column; with it, memory stays bounded."""

    def texts(self, items: pl.DataFrame) -> pl.Series:
        """The items' texts as these settings say; see `item_texts`."""
        return item_texts(items, self.columns, self.missing, self.max_chars)


class EmbeddingMethod(NamedTuple):
    """A kind of embedding: its settings, and how it is fitted, loaded and recognised."""

    config: type[EmbeddingConfig]
    fit: Callable[[Any, pl.DataFrame, Progress | None], Embedding]
    """From settings and items."""
    load: Callable[[Any, Path], Embedding]
    """From settings and the folder that `Embedding.save` wrote."""
    fingerprint: Callable[[Any, pl.DataFrame], str]
    """A hash of all that the vectors depend on beside the settings: texts, a file, weights."""


def unit_rows(vectors: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items dim"]:
    """The vectors scaled to length 1; a vector of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def rows_of(item_ids: pl.Series, items: pl.DataFrame) -> pl.Series:
    """Where each of `items` stands among `item_ids`; null for one that does not."""
    rows = pl.DataFrame({"item_id": item_ids}).with_row_index("row")
    return items.select("item_id").join(rows, "item_id", "left", maintain_order="left")["row"]
