"""Texts of items from files of metadata that hold many more items than a data set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from beamwise.data.bad_input import bad_file, bad_value
from beamwise.data.item_texts import clean_text
from beamwise.data.json_lines import json_records

Texts = Mapping[str, Callable[[dict[str, Any]], str | None]]
"""The text columns of the item table, and what each takes from a record."""


def read_item_texts(
    path: Path,
    item_ids: pl.Series,
    id_field: str,
    texts: Texts,
    *,
    python_literals: bool = False,
) -> pl.DataFrame:
    """The texts of some items, out of a file of JSON lines with all items.

    Only the items asked for are parsed and held, so memory grows with them and not with the file.
    An item that the file has several times keeps its first record; one that it has not gets nulls
    (the data card counts them).

    Args:
        path: Plain or gzip.
        item_ids: The items of the table, in its order.
        id_field: The field that holds the id.
        texts: The text columns.
        python_literals: Accept Python dict literals for records.

    Returns:
        The item table: item_id and the text columns, one row an item.

    Raises:
        ValueError: One line, if the file is not readable, a record has no id, or none of the items
            is in the file.
    """
    kept = set(item_ids)
    found: dict[str, tuple[str | None, ...]] = {}
    wanted = _mentions(id_field, kept)
    for row, record in json_records(path, python_literals=python_literals, wanted=wanted):
        item = _id_of(path, row, id_field, record)
        if item in kept and item not in found:
            found[item] = tuple(text_of(record) for text_of in texts.values())
    if not found:
        raise bad_file(
            path,
            f"has none of the {len(item_ids):,} items",
            "give the metadata that were published with the reviews",
        )
    return item_table(item_ids, tuple(texts), found)


def item_table(
    item_ids: pl.Series, columns: tuple[str, ...], found: Mapping[str, tuple[str | None, ...]]
) -> pl.DataFrame:
    """The item table of `item_ids`; the texts of an item that is not `found` are null."""
    unknown = (None,) * len(columns)
    rows = [found.get(item, unknown) for item in item_ids]
    table = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    return table.insert_column(0, item_ids.alias("item_id"))


def one_line(value: object) -> str | None:
    """Text on one line without HTML entities; None where there is none."""
    if not isinstance(value, str):
        return None
    # Half a surrogate pair, which JSON can write, is no text in any encoding.
    return clean_text(value.encode(errors="replace").decode())


def joined(value: object, separator: str) -> str | None:
    """The distinct texts of a text, a list, or a list of lists, in their order, on one line."""
    return separator.join(dict.fromkeys(_parts(value))) or None


def _parts(value: object) -> Iterator[str]:
    level = value if isinstance(value, list) else [value]
    for entry in level:
        for part in entry if isinstance(entry, list) else [entry]:
            if (text := one_line(part)) is not None:
                yield text


def _mentions(id_field: str, kept: set[str]) -> Callable[[bytes], bool]:
    """Whether a line may be that of an item asked for: a test far quicker than parsing it."""
    name = re.escape(id_field.encode())
    pattern = re.compile(rb"""['"]%s['"]\s*:\s*['"]([^'"\\]*)['"]""" % name)
    ids = {item.encode() for item in kept}

    def may_be_asked_for(line: bytes) -> bool:
        named = pattern.findall(line)
        return not named or not ids.isdisjoint(named)

    return may_be_asked_for


def _id_of(path: Path, row: int, id_field: str, record: dict[str, Any]) -> str:
    item = record.get(id_field)
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    if not isinstance(item, str) or not item:
        raise bad_value(path, row, id_field, item, "an item id", "correct or drop the line")
    return item
