"""A user's own table of items: ids, titles and whatever else is told, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import polars as pl

from beamwise.data.bad_input import bad_file, bad_value
from beamwise.data.item_texts import as_text, clean_text
from beamwise.data.json_lines import json_records
from beamwise.data.raw_batches import RawBatch
from beamwise.data.raw_csv import read_csv_batches
from beamwise.data.raw_parquet import read_parquet_batches
from beamwise.data.raw_tables import (
    Format,
    check_columns,
    check_separator,
    column_names,
    format_of,
    separator_of,
)

SAME_NAMES = {"item_id": "item_id", "title": "title"}
RENAME = {name: f"rename the one that holds it to {name}" for name in SAME_NAMES} | {
    "separator": "separate its fields by commas",
    "tab": "end its name with .tsv",
}
RECORDS_AT_ONCE = 50_000


def read_items(
    path: Path,
    columns: Mapping[str, str] | None = None,
    *,
    format: str | None = None,
    separator: str = ",",
    fix: Mapping[str, str] = RENAME,
) -> pl.DataFrame:
    """Read items from CSV, TSV, Parquet or JSON lines, in the order of the file.

    Every value becomes text on one line without HTML entities, null where it is empty; members of a
    list are joined by commas.

    Args:
        path: The file; text may be compressed with gzip.
        columns: The file's names of item_id and title; `SAME_NAMES` where not given. Without title
            among them all titles are null.
        format: csv, tsv, parquet or jsonl; told by the end of the name where not given.
        separator: What stands between the fields of a CSV file.
        fix: What to do about a missing column, by our name of it, or a wrong
            `separator` or `tab`.

    Returns:
        item_id and title, then the other columns of the file, all String.

    Raises:
        ValueError: One line with file, row and fix, if the file is not readable, a column is
            missing, or an id is missing, blank or there twice.
    """
    columns = SAME_NAMES if columns is None else columns
    kind = format_of(path, format)
    if kind == "jsonl":
        batches = _json_batches(path)
    elif kind == "parquet":
        batches = read_parquet_batches(path, _names(path, kind, columns, fix, separator), as_text)
    else:
        names = _names(path, kind, columns, fix, separator)
        batches = read_csv_batches(path, names, separator_of(kind, separator))
    id_name = columns["item_id"]
    tables = [_as_texts(path, batch, id_name) for batch in batches]
    table = pl.concat(tables, how="diagonal")
    check_columns(path, columns, table.columns, fix)
    _check_distinct(path, table[id_name])
    others = [name for name in table.columns if name not in columns.values()]
    for name in others:
        if name in columns:
            what = f"has a column {name!r} besides {columns[name]!r}, which is to be its {name}"
            raise bad_file(path, what, "rename or drop one of them")
    title = columns.get("title")
    return table.select(
        pl.col(id_name).alias("item_id"),
        pl.lit(None, pl.String).alias("title") if title is None else pl.col(title).alias("title"),
        *(pl.col(name) for name in others if name != "title"),
    )


def _names(
    path: Path, kind: Format, columns: Mapping[str, str], fix: Mapping[str, str], separator: str
) -> list[str]:
    """All columns of the file, which must have those asked for, and none twice."""
    names = column_names(path, kind, separator)
    if kind == "csv":
        check_separator(path, columns, names, fix)
    check_columns(path, columns, names, fix)
    same = {name: name for name in names}
    check_columns(path, same, names, same)  # each once
    return names


def _json_batches(path: Path) -> Iterator[RawBatch]:
    """Some records at a time, a column for every key that one of them has."""
    records = json_records(path)
    while some := list(islice(records, RECORDS_AT_ONCE)):
        keys = list(dict.fromkeys(key for _, record in some for key in record))
        columns = {key: [_json_text(record.get(key)) for _, record in some] for key in keys}
        for key, texts in columns.items():
            _check_unicode(path, some[0][0], key, texts)
        yield RawBatch(some[0][0], pl.DataFrame(columns, schema=dict.fromkeys(keys, pl.String)))


def _json_text(value: object) -> str | None:
    """A text as it stands, for an id must not change; others as text."""
    return value if isinstance(value, str) else as_text(value)


def _check_unicode(path: Path, first_row: int, key: str, texts: list[str | None]) -> None:
    """Refuse half a surrogate pair, which JSON can write and no encoding can."""
    for row, text in enumerate([key, *texts], first_row - 1):
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            fix = "correct or drop the row"
            raise bad_value(path, max(row, 1), ascii(key), text, "Unicode text", fix) from None


def _as_texts(path: Path, batch: RawBatch, id_name: str) -> pl.DataFrame:
    """The batch as text: ids as they stand, which must be there, all else cleaned."""
    if id_name not in batch.table.columns:
        return batch.table.clear()  # the check of all columns will say so
    table = batch.table.cast(pl.String)
    ids = table[id_name]
    blank = ids.is_null() | (ids.str.strip_chars() == "")
    if blank.any():
        row = blank.arg_max() or 0
        fix = "give it an id or drop the row"
        raise bad_value(path, batch.first_row + row, id_name, ids[row], "an item id", fix)
    texts = {
        name: ids if name == id_name else [clean_text(text) for text in table[name]]
        for name in table.columns
    }
    return pl.DataFrame(texts, schema=dict.fromkeys(texts, pl.String))


def _check_distinct(path: Path, ids: pl.Series) -> None:
    repeats = ~ids.is_first_distinct()
    if repeats.any():
        row = repeats.arg_max() or 0
        first = ids.index_of(ids[row])
        raise bad_value(
            path,
            row + 1,
            ids.name,
            ids[row],
            f"a new id (row {(first or 0) + 1} has it)",
            "keep one of the rows",
        )
