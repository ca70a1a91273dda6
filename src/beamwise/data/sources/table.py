"""Source `table`: a user's own CSV, Parquet or JSON-lines file of interactions."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import NonNegativeInt, field_validator

from beamwise.config import Config
from beamwise.data.bad_input import bad_file
from beamwise.data.dataset import Dataset
from beamwise.data.filtering import gathered_core
from beamwise.data.interactions import Interactions
from beamwise.data.item_tables import read_items
from beamwise.data.raw_interactions import Duplicates, Rules, gather
from beamwise.data.raw_tables import Format, read_batches
from beamwise.data.timestamps import NUMBER, check_timestamp_format

ITEM_COLUMN_FIX = {
    "item_id": "name the one that holds it with --item-column item_id=NAME",
    "title": "name the one that holds it with --item-column title=NAME, or where there is none "
    "--item-column title=null",
    "separator": "add --set 'items_separator={}'",
    "tab": "end its name with .tsv",
}


class InteractionColumns(Config):
    """The file's names of the columns."""

    user_id: str = "user_id"
    """Who took the item."""
    item_id: str = "item_id"
    """What was taken."""
    timestamp: str | None = "timestamp"
    """null where there are no times: then the order of the rows is that of time."""


class ItemColumns(Config):
    """The item file's names of the columns."""

    item_id: str = "item_id"
    """What the interactions call the item."""
    title: str | None = "title"
    """null where there are none: then all titles are unknown."""


def _one_character(separator: str | None) -> str | None:
    """The separator, if it can be one."""
    if separator in ("\\t", "\t"):
        raise ValueError("tabs separate the fields of TSV: set format=tsv, or name the file .tsv")
    if separator is not None and len(separator) != 1:
        raise ValueError("a separator is one character, such as ; or |")
    return separator


class TableConfig(Config):
    """A file with a row for every interaction, and maybe one with a row for every item."""

    name: Literal["table"] = "table"
    file: Path
    """The interactions: .csv, .tsv, .parquet or .jsonl, text also with .gz."""
    format: Format | None = None
    """Told by the end of the file's name where not set."""
    separator: str = ","
    """What stands between the fields of a CSV file; for tabs set format=tsv."""
    columns: InteractionColumns = InteractionColumns()
    timestamp_format: str = NUMBER
    """number (whole, any unit), iso (dates or times, which become microseconds since 1970), or a
    pattern of Python's strptime such as %d/%m/%Y, likewise."""
    duplicates: Duplicates = "drop"
    """Of rows equal in user, item and time drop all but one; keep them all; or keep only a user's
    first row with an item."""
    min_interactions: NonNegativeInt = 0
    """Keep the k-core of this k and only its items; 0 keeps all."""
    items: Path | None = None
    """A table with a row for every item, in the order that items will have."""
    item_columns: ItemColumns = ItemColumns()
    items_separator: str | None = None
    """What stands between the fields of the items' CSV file; as in the interactions where null."""

    _separators = field_validator("separator", "items_separator")(_one_character)
    _known_format = field_validator("timestamp_format")(check_timestamp_format)


def read_table_source(config: TableConfig) -> Dataset:
    """Read the table.

    Items are those of the items file, in its order, also those that nobody took, or else those
    taken, in order of first appearance, without titles. With `min_interactions` only items of the
    core stay. Without times, timestamps are positions in the users' lists.

    Raises:
        ValueError: One line with file, row, column, value and fix.
    """
    columns = {ours: name for ours, name in config.columns if name is not None}
    rules = Rules(config.timestamp_format, config.duplicates, columns)
    batches = read_batches(config.file, columns, format=config.format, separator=config.separator)
    gathered = gather(batches, config.file, rules)
    items = _items(config, gathered.interactions)
    interactions, notes = gathered_core(gathered, config.min_interactions, config.file)
    if config.min_interactions:
        items = items.filter(pl.col("item_id").is_in(interactions.item_ids.implode()))
    has_times = "timestamp" in columns
    interactions = interactions if has_times else interactions.with_positions()
    return Dataset(interactions, items, notes=notes, has_times=has_times)


def _items(config: TableConfig, interactions: Interactions) -> pl.DataFrame:
    taken = interactions.item_ids
    if config.items is None:
        return taken.to_frame().with_columns(title=pl.lit(None, dtype=pl.String))
    columns = {ours: name for ours, name in config.item_columns if name is not None}
    separator = config.items_separator or config.separator
    items = read_items(config.items, columns, separator=separator, fix=ITEM_COLUMN_FIX)
    lost = taken.filter(~taken.is_in(items["item_id"].implode()))
    if len(lost):
        what = f"lacks {len(lost)} of the {len(taken)} items in {config.file}, as {lost[0]!r}"
        raise bad_file(config.items, what, "add them to it, or drop their interactions")
    return items
