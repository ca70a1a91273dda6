"""One text an item, from its title and the other columns of the item table."""

from __future__ import annotations

import difflib
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Bool

Missing = Literal["refuse", "blank"]
"""What is done with an item without text: an error, or an empty text."""


def item_texts(
    items: pl.DataFrame,
    columns: tuple[str, ...] | None = None,
    missing: Missing = "refuse",
    max_chars: int = 1000,
) -> pl.Series:
    """The texts of all items, in their order; never null, "" where an item is blank.

    A text is the item's values, one a line, those that are null or only white space left out. Every
    value is cut on its own, so that a long description hides no later column.

    Args:
        items: The item table: item_id and title, and whatever else the source tells.
        columns: Which columns and in which order; the title, then all other columns of text in the
            table's order, where None.
        missing: What to do with an item without any text.
        max_chars: Characters kept of each value.

    Raises:
        ValueError: If a column is not in the table or holds no text, or an item has no text and
            `missing` is "refuse".
    """
    columns = _text_columns(items) if columns is None else _checked(items, columns)
    values = [_cut(column, max_chars) for column in columns]
    text = pl.concat_str(values, separator="\n", ignore_nulls=True).fill_null("")
    texts = items.select(text.alias("text"))["text"]
    check_missing(items["item_id"], (texts == "").to_numpy(), missing, "has no text")
    return texts


def has_texts(items: pl.DataFrame) -> bool:
    """Whether any item has a text."""
    texts = items.select(pl.col(name).str.strip_chars() != "" for name in _text_columns(items))
    return any(bool(column.any()) for column in texts)


def check_missing(
    item_ids: pl.Series,
    is_missing: Bool[np.ndarray, " items"],
    missing: Missing,
    what: str,
    fix: str = "give it a title",
) -> None:
    """Refuse items that cannot be told apart, unless they were asked to be blank.

    Args:
        item_ids: Ids of all items.
        is_missing: Which of them have nothing to embed.
        missing: What to do with those.
        what: What is wrong with such an item, as in "has no text".
        fix: What mends it, beside `missing`.

    Raises:
        ValueError: One line that names the first, how many there are, and both remedies.
    """
    if missing == "blank" or not is_missing.any():
        return
    raise ValueError(
        f"item {item_ids[int(is_missing.argmax())]!r} {what} ({int(is_missing.sum()):,} of "
        f"{len(item_ids):,} items): {fix}, or --set embedding.missing=blank, which puts all of "
        "them at one point so that only the collision rule separates them"
    )


def _cut(column: str, max_chars: int) -> pl.Expr:
    """The first characters of a column's values, null where only white space is left."""
    cut = pl.col(column).str.strip_chars().str.slice(0, max_chars)
    return pl.when(cut != "").then(cut)


def _text_columns(items: pl.DataFrame) -> tuple[str, ...]:
    others = [name for name, dtype in items.schema.items() if dtype == pl.String]
    return ("title", *(name for name in others if name not in ("item_id", "title")))


def _checked(items: pl.DataFrame, columns: tuple[str, ...]) -> tuple[str, ...]:
    known = _text_columns(items)
    for column in columns:
        if column in known:
            continue
        if column in items.columns and items.schema[column] != pl.String:
            raise ValueError(
                f"column {column!r} of the items is {items.schema[column]}, not text: leave it out "
                f"of embedding.columns; columns of text are {', '.join(known)}"
            )
        nearest = difflib.get_close_matches(column, known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
        raise ValueError(f"the items have no column of text {column!r}: {hint}")
    return columns
