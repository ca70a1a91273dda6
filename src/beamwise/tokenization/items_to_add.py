"""Items that come later, from a file of the user's own, and what of it fits the dataset's items."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from beamwise.data.item_tables import SAME_NAMES, read_items
from beamwise.data.json_lines import json_records
from beamwise.data.raw_tables import column_names, format_of


def read_items_to_add(path: Path, items: pl.DataFrame) -> pl.DataFrame:
    """Read items for `change_items`; a title is needed only where an item of the dataset has one.

    Args:
        path: CSV, TSV, Parquet or JSON lines.
        items: Those of the dataset.

    Raises:
        ValueError: As `beamwise.data.item_tables.read_items`.
    """
    has_titles = items["title"].null_count() < len(items)
    names = SAME_NAMES if has_titles or _has_titles(path) else {"item_id": "item_id"}
    return read_items(path, names)


def _has_titles(path: Path) -> bool:
    kind = format_of(path)
    if kind == "jsonl":
        return any("title" in record for _, record in json_records(path))
    return "title" in column_names(path, kind)


def column_notes(path: Path, added: pl.DataFrame, items: pl.DataFrame) -> list[str]:
    """What to tell a user about columns that only the file or only the dataset has.

    Args:
        path: The file, as the user named it.
        added: What `read_items_to_add` read from it.
        items: Those of the dataset.
    """
    left_out = [name for name in added.columns if name not in items.columns]
    texts = [name for name, dtype in items.schema.items() if dtype == pl.String]
    empty = [
        name for name in texts if name not in added.columns and items[name].is_not_null().any()
    ]
    notes = []
    if left_out:
        notes.append(
            f"{path}: {_columns(left_out)} left out, since the items of the dataset have no such"
        )
    if empty:
        notes.append(
            f"{path} has no {_columns(empty)}, as the items of the dataset have: empty for the "
            "items to add, whose texts then say less"
        )
    return notes


def _columns(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names)
    return f"column {shown}" if len(names) == 1 else f"columns {shown}"
