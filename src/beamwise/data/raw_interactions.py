"""From rows of a raw file to interactions: ids checked, times read, repeated rows dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64

from beamwise.data.bad_input import bad_file, bad_value
from beamwise.data.id_codes import IdEncoder
from beamwise.data.interactions import Interactions
from beamwise.data.raw_batches import RawBatch
from beamwise.data.timestamps import ISO, NUMBER, expected, parse_timestamps

Duplicates = Literal["drop", "keep", "first"]
"""Of rows equal in user, item and time keep one; keep all; keep a user's first row with an item."""


@dataclass(frozen=True)
class Rules:
    """How rows become interactions."""

    timestamp_format: str = NUMBER
    """number, iso or a pattern; see `timestamps.parse_timestamps`."""
    duplicates: Duplicates = "drop"
    columns: Mapping[str, str] = field(default_factory=dict)
    """The file's names of our columns, for messages; the same where one is not named."""


class Gathered(NamedTuple):
    """Interactions, and what became of the rows."""

    interactions: Interactions
    num_rows: int
    """Rows read."""
    num_dropped: int
    """Rows that repeated another one, by the rule."""


def gather(batches: Iterable[RawBatch], path: Path, rules: Rules) -> Gathered:
    """Make interactions of batches with user_id, item_id and, where times are known, timestamp.

    Without times the order of the rows is that of time, and no two rows are equal; `drop` then
    drops none. Ids are texts or whole numbers, kept as they stand. The text of a batch is let go
    before the next one is read.

    Args:
        batches: Successive rows of the file; as `raw_tables.read_batches` gives them.
        path: The file, for messages.
        rules: How to read times and what to do with repeated rows.

    Raises:
        ValueError: One line with row, column, value and fix, if an id is missing or blank or no
            text, or a time is not what the rules say; or if there are no rows.
    """
    interactions = _encoded(batches, path, rules)
    num_rows = len(interactions)
    if rules.duplicates != "keep":
        kept = _first_of_equal(interactions, rules.duplicates)
        interactions = interactions if kept.all() else interactions.where(kept)
    return Gathered(interactions, num_rows, num_rows - len(interactions))


def _encoded(batches: Iterable[RawBatch], path: Path, rules: Rules) -> Interactions:
    users, items, times = IdEncoder(), IdEncoder(), []
    num_rows = 0
    for batch in batches:
        users.add(_ids(batch, "user_id", path, rules))
        items.add(_ids(batch, "item_id", path, rules))
        times.append(_times(batch, num_rows, path, rules))
        num_rows += batch.table.height
    if not num_rows:
        raise bad_file(path, "has no rows", "give a file with rows")
    (user_ids, users_of), (item_ids, items_of) = users.finish(), items.finish()
    return Interactions(user_ids, item_ids, users_of, items_of, np.concatenate(times))


def _ids(batch: RawBatch, column: str, path: Path, rules: Rules) -> pl.Series:
    values = batch.table[column]
    if values.dtype.is_integer() or values.dtype == pl.Null:
        values = values.cast(pl.String)
    name = rules.columns.get(column, column)
    if values.dtype != pl.String:
        what = f"has ids of type {values.dtype} in the column {name!r}"
        raise bad_file(path, what, "write them as text or whole numbers")
    blank = values.is_null() | (values.str.strip_chars() == "")
    if blank.any():
        row = blank.arg_max() or 0
        fix = "give it an id or drop the row"
        raise bad_value(path, batch.first_row + row, name, values[row], "an id", fix)
    return values


def _times(
    batch: RawBatch, num_before: int, path: Path, rules: Rules
) -> Int64[np.ndarray, " rows"]:
    if "timestamp" not in batch.table.columns:
        return np.arange(num_before, num_before + batch.table.height)
    values = batch.table["timestamp"]
    times = parse_timestamps(values, rules.timestamp_format)
    if times.null_count():
        row = times.is_null().arg_max() or 0
        value = values.slice(row, 1)
        raise bad_value(
            path,
            batch.first_row + row,
            rules.columns.get("timestamp", "timestamp"),
            value.to_physical()[0],  # a time may be beyond those that Python can show
            expected(rules.timestamp_format),
            _fix(value, rules.timestamp_format),
        )
    return times.to_numpy()


def _fix(value: pl.Series, timestamp_format: str) -> str:
    """The format that would read the value, where one does."""
    for other in (NUMBER, ISO):
        if other != timestamp_format and not parse_timestamps(value, other).null_count():
            return f"correct or drop the row, or set timestamp_format to {other}"
    return "correct or drop the row"


def _first_of_equal(
    interactions: Interactions, duplicates: Duplicates
) -> Bool[np.ndarray, " interactions"]:
    """Whether a row is the first of those equal to it; they are sorted for that."""
    pair = interactions.users.astype(np.int64) * interactions.num_items + interactions.items
    if duplicates == "first":
        order = np.argsort(pair, kind="stable")
        repeats = np.diff(pair[order]) == 0
    else:
        order = np.lexsort((interactions.timestamps, pair))
        repeats = (np.diff(pair[order]) == 0) & (np.diff(interactions.timestamps[order]) == 0)
    first = np.ones(len(pair), dtype=np.bool_)
    first[order[1:][repeats]] = False
    return first
