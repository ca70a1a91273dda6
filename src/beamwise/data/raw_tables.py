"""A user's own table, whatever its format: the columns asked for, some rows at a time."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from beamwise.data.bad_input import bad_file, shown
from beamwise.data.raw_batches import RawBatch
from beamwise.data.raw_csv import csv_header, read_csv_batches
from beamwise.data.raw_parquet import parquet_header, read_parquet_batches

Format = Literal["csv", "tsv", "parquet", "jsonl"]
FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
"""By the end of a file's name; after each but `.parquet` may stand `.gz`."""
MOST_NAMED = 20
"""Columns that a message lists."""
NAME_WITH_COLUMN = "name the one that holds it with --column {column}=NAME"
FIXES = {name: NAME_WITH_COLUMN.format(column=name) for name in ("user_id", "item_id")} | {
    "timestamp": "name the one that holds it with --column timestamp=NAME, or where there are no "
    "times --column timestamp=null",
    "separator": "add --set 'separator={}'",
    "tab": "add --set format=tsv",
}
"""What to do about a missing column, by our name of it, or a wrong separator."""
SEPARATORS = (",", ";", "\t", "|")


def read_batches(
    path: Path,
    columns: Mapping[str, str],
    *,
    format: str | None = None,
    separator: str = ",",
    fix: str | Mapping[str, str] = FIXES,
) -> Iterator[RawBatch]:
    """Read columns of a CSV, TSV, Parquet or JSON-lines file, rows in the order of the file.

    Values are text, but for Parquet, which knows types: texts, numbers, dates and times.

    Args:
        path: The file; text may be compressed with gzip.
        columns: The file's name for each column asked for, by our name, as in
            `{"user_id": "reviewerID"}`.
        format: csv, tsv, parquet or jsonl; told by the end of the name where not given.
        separator: What stands between the fields of a CSV file.
        fix: What to do about a missing column; of each, or of all.

    Raises:
        ValueError: One line with file, place and fix, if the file or a row of it is not readable or
            a column is missing or there more than once; see the readers of the formats.
    """
    kind = format_of(path, format)
    if kind == "jsonl":
        yield from _json_batches(path, columns, fix)
        return
    header = column_names(path, kind, separator)
    if kind == "csv" and not isinstance(fix, str):
        check_separator(path, columns, header, fix)
    check_columns(path, columns, header, fix)
    names = list(dict.fromkeys(columns.values()))
    if kind == "parquet":
        batches = read_parquet_batches(path, names)
    else:
        batches = read_csv_batches(path, names, separator_of(kind, separator))
    renamed = [pl.col(name).alias(ours) for ours, name in columns.items()]
    for first_row, table in batches:
        yield RawBatch(first_row, table.select(renamed))


def _json_batches(
    path: Path, columns: Mapping[str, str], fix: str | Mapping[str, str]
) -> Iterator[RawBatch]:
    """JSON lines; a field that no row of the first batch has must be one of the first object."""
    from beamwise.data.json_lines import first_record, read_json_line_batches

    for batch in read_json_line_batches(path, columns):
        if batch.first_row == 1:
            values = batch.table
            lacking = {n: columns[n] for n in columns if values[n].null_count() == values.height}
            if lacking:
                check_columns(path, lacking, list(first_record(path)), fix)
        yield batch


def column_names(path: Path, kind: Format, separator: str = ",") -> list[str]:
    """All columns of a table that is not JSON lines.

    Raises:
        ValueError: One line, if the file is not readable.
    """
    if kind == "parquet":
        return parquet_header(path)
    return csv_header(path, separator_of(kind, separator))


def format_of(path: Path, format: str | None = None) -> Format:
    """The format asked for, or else the one that the file's name tells.

    Raises:
        ValueError: If it is none of `FORMATS`, or the path is that of a folder.
    """
    known: dict[str, Format] = {kind: kind for kind in FORMATS.values()}
    if path.is_dir():
        raise bad_file(path, "is a folder", "name a file in it")
    if format is not None:
        if format not in known:
            raise ValueError(f"unknown format {format!r}: choose one of {', '.join(known)}")
        return known[format]
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    told = FORMATS.get(suffixes[-1]) if suffixes else None
    if told is None:
        fix = f"end its name with .csv, or set format to one of {', '.join(known)}"
        raise bad_file(path, "does not tell its format", fix)
    return told


def separator_of(kind: Format, separator: str) -> str:
    """What stands between fields: a tab in TSV, in CSV what was asked for.

    Raises:
        ValueError: If it is not one character that can separate fields.
    """
    if kind == "tsv":
        return "\t"
    if len(separator) != 1 or not separator.isascii() or separator in '"\r\n\0':
        raise ValueError(
            f"separator {separator!r} cannot separate fields: give one ASCII character"
        )
    return separator


def check_separator(
    path: Path, columns: Mapping[str, str], names: Sequence[str], fix: Mapping[str, str]
) -> None:
    """Refuse a CSV file whose header is one field that holds another separator.

    Args:
        path: The file.
        columns: The file's names of the columns asked for; one of these may hold anything.
        names: The columns that it has by the separator that was asked for.
        fix: What to do about another `separator`, which stands for `{}`, and about a `tab`.

    Raises:
        ValueError: With the fix.
    """
    if len(names) != 1 or names[0] in columns.values():
        return
    found = next((separator for separator in SEPARATORS if separator in names[0]), None)
    if found is not None:
        remedy = fix["tab"] if found == "\t" else fix["separator"].format(found)
        raise bad_file(path, f"has one column, {shown(names[0])}", remedy)


def check_columns(
    path: Path, columns: Mapping[str, str], names: Sequence[str], fix: str | Mapping[str, str]
) -> None:
    """Refuse a table whose `names` lack a column of `columns` or have it twice.

    Raises:
        ValueError: With the columns that there are, the nearest of them, and the fix.
    """
    for column, name in columns.items():
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
            known = ", ".join(shown(known) for known in names[:MOST_NAMED])
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            what = f"has no column {name!r} (there are: {known}{more}{hint})"
            raise bad_file(path, what, fix if isinstance(fix, str) else fix[column])
        if list(names).count(name) > 1:
            what = f"has {list(names).count(name)} columns of the name {name!r}"
            raise bad_file(path, what, "give each its own name")
