"""Source `table`: a user's own CSV, Parquet or JSON-lines file of interactions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field, NonNegativeInt, field_validator

from beamwise.config import Config
from beamwise.data.bad_input import bad_file
from beamwise.data.dataset import Dataset
from beamwise.data.filtering import k_core
from beamwise.data.interactions import Interactions
from beamwise.data.item_tables import read_items
from beamwise.data.raw_interactions import Duplicates, Gathered, Rules, gather
from beamwise.data.raw_tables import Format, read_batches
from beamwise.data.timestamps import NUMBER, check_timestamp_format

ITEM_COLUMN_FIX = "name the one that holds it with --set item_columns.{column}=NAME"


class InteractionColumns(Config):
    """The file's names of the columns."""

    user_id: str = "user_id"
    item_id: str = "item_id"
    timestamp: str | None = "timestamp"
    """null where there are no times: then the order of the rows is that of time."""


class ItemColumns(Config):
    """The item file's names of the columns."""

    item_id: str = "item_id"
    title: str = "title"


class TableConfig(Config):
    """A file with a row for every interaction, and maybe one with a row for every item."""

    name: Literal["table"] = "table"
    file: Path
    """The interactions: .csv, .tsv, .parquet or .jsonl, text also with .gz."""
    format: Format | None = None
    """Told by the end of the file's name where not set."""
    separator: str = Field(default=",", min_length=1, max_length=1)
    """What stands between the fields of a CSV file, also in that of the items."""
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

    _known_format = field_validator("timestamp_format")(check_timestamp_format)


def read_table_source(config: TableConfig) -> Dataset:
    """Read the table.

    Items are those of the items file, in its order, also those that nobody took, or else those
    taken, in order of first appearance, without titles. With `min_interactions` only items of the
    core stay.

    Raises:
        ValueError: One line with file, row, column, value and fix.
    """
    columns = {ours: name for ours, name in config.columns if name is not None}
    rules = Rules(config.timestamp_format, config.duplicates, columns)
    batches = read_batches(config.file, columns, format=config.format, separator=config.separator)
    gathered = gather(batches, config.file, rules)
    items = _items(config, gathered.interactions)
    interactions = _core(config, gathered)
    if config.min_interactions:
        items = items.filter(pl.col("item_id").is_in(interactions.item_ids.implode()))
    return Dataset(interactions, items, notes=_notes(gathered, interactions))


def _core(config: TableConfig, gathered: Gathered) -> Interactions:
    whole = gathered.interactions
    if not config.min_interactions:
        return whole
    try:
        return k_core(whole, config.min_interactions)
    except ValueError:
        what = (
            f"has {len(whole)} interactions of {whole.num_users} users with {whole.num_items} "
            f"items, and none is left in their {config.min_interactions}-core"
        )
        raise bad_file(config.file, what, "lower min_interactions") from None


def _notes(gathered: Gathered, interactions: Interactions) -> Mapping[str, int]:
    return {
        "rows_read": gathered.num_rows,
        "duplicates_dropped": gathered.num_dropped,
        "dropped_outside_core": len(gathered.interactions) - len(interactions),
    }


def _items(config: TableConfig, interactions: Interactions) -> pl.DataFrame:
    taken = interactions.item_ids
    if config.items is None:
        return taken.to_frame().with_columns(title=pl.lit(None, dtype=pl.String))
    columns = dict(config.item_columns)
    items = read_items(config.items, columns, separator=config.separator, fix=ITEM_COLUMN_FIX)
    lost = taken.filter(~taken.is_in(items["item_id"].implode()))
    if len(lost):
        what = f"lacks {len(lost)} of the {len(taken)} items in {config.file}, as {lost[0]!r}"
        raise bad_file(config.items, what, "add them to it, or drop their interactions")
    return items
