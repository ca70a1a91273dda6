"""JSON lines: one object a line, plain or gzip, streamed."""

from __future__ import annotations

import ast
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from beamwise.data.bad_input import bad_file, bad_value, shown
from beamwise.data.raw_batches import ROWS_AT_ONCE, RawBatch
from beamwise.data.raw_lines import line_blocks

DROP = "correct or drop the line"


def read_json_line_batches(path: Path, columns: Mapping[str, str]) -> Iterator[RawBatch]:
    """Read some fields of every object as text.

    A number becomes the text that Python's `json` makes of it; a field that is missing or null is
    null. Rows are numbered from 1, blank lines not counted; other fields are passed over.

    Args:
        path: Plain or gzip, told by its content.
        columns: The field of each column asked for, as in `{"user_id": "reviewerID"}`.

    Raises:
        ValueError: One line, if the file is not readable (see `line_blocks`), not UTF-8 or without
            a row; a line is no JSON object; or a field holds true, false, an object or a list.
    """
    fields = tuple(dict.fromkeys(columns.values()))
    first_row = 1
    for block in line_blocks(path):
        table = _quick(block, fields)
        if table is None:
            table = _line_by_line(path, first_row, block, fields)
        table = table.select(pl.col(field).alias(name) for name, field in columns.items())
        for part in table.iter_slices(ROWS_AT_ONCE):
            if part.height:
                yield RawBatch(first_row, part)
                first_row += part.height
    if first_row == 1:
        raise _without_rows(path)


def json_records(
    path: Path,
    *,
    python_literals: bool = False,
    wanted: Callable[[bytes], bool] | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every object with the number of its row, from 1, blank lines not counted.

    Args:
        path: Plain or gzip, told by its content.
        python_literals: Accept a line that is a Python dict literal as well, as the Amazon metadata
            of 2014 are. It is parsed, never executed.
        wanted: Says of a line whether to parse it; others are passed over unchecked.

    Raises:
        ValueError: As `read_json_line_batches`.
    """
    parse = _json_or_literal if python_literals else json.loads
    row = 0
    for block in line_blocks(path):
        for line in _lines(block):
            row += 1
            if wanted is None or wanted(line):
                yield row, _record(path, row, line, parse)
    if not row:
        raise _without_rows(path)


def first_record(path: Path) -> dict[str, Any]:
    """The first object.

    Raises:
        ValueError: As `json_records`.
    """
    return next(json_records(path))[1]


def _lines(block: bytes) -> Iterator[bytes]:
    return (line for raw in block.split(b"\n") if (line := raw.strip()))


def _quick(block: bytes, fields: Sequence[str]) -> pl.DataFrame | None:
    """What `_line_by_line` gives, some three times as fast; None where that is not certain.

    Arrow takes the types of the first line and refuses all others. If every line starts with `{`
    and ends with `}`, no object crosses a line end (between two tokens `}` and `{` stands at least
    a comma, and a text has no line end), so as many objects as lines means one each.
    """
    import pyarrow as pa
    import pyarrow.json

    body = block.removesuffix(b"\n")
    num_lines = body.count(b"\n") + 1
    ends = body.startswith(b"{") and body.endswith(b"}")
    if not ends or body.count(b"}\n{") + 1 != num_lines or not _is_utf8(block):
        return None
    schema = _types_of(body.split(b"\n", 1)[0], fields)
    if schema is None:
        return None
    parsing = pyarrow.json.ParseOptions(
        explicit_schema=pa.schema(list(schema.items())), unexpected_field_behavior="ignore"
    )
    reading = pyarrow.json.ReadOptions(use_threads=True, block_size=1 << 22)
    try:
        table = pyarrow.json.read_json(pa.BufferReader(block), reading, parsing)
    except pa.ArrowException:
        return None
    if table.num_rows != num_lines:
        return None
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return found.cast(pl.String)


def _is_utf8(block: bytes) -> bool:
    try:
        return block.isascii() or bool(block.decode())
    except UnicodeDecodeError:
        return False


def _types_of(line: bytes, fields: Sequence[str]) -> dict[str, Any] | None:
    """Arrow's types of the fields as the line, that starts with `{`, has them; else text."""
    import pyarrow as pa

    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return {f: pa.int64() if type(record.get(f)) is int else pa.string() for f in fields}


def _line_by_line(path: Path, first_row: int, block: bytes, fields: Sequence[str]) -> pl.DataFrame:
    columns: dict[str, list[str | None]] = {field: [] for field in fields}
    for row, line in enumerate(_lines(block), first_row):
        record = _record(path, row, line, json.loads)
        for field, texts in columns.items():
            texts.append(_text(path, row, field, record.get(field)))
    return pl.DataFrame(columns, schema=dict.fromkeys(fields, pl.String))


def _text(path: Path, row: int, field: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        if _has_surrogate(value):
            raise bad_value(path, row, field, value, "Unicode text", DROP)
        return value
    if isinstance(value, bool | dict | list) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise bad_value(path, row, field, value, "a text or a finite number", DROP)
    return json.dumps(value)


def _has_surrogate(text: str) -> bool:
    """Whether the text holds half a surrogate pair, which JSON can write and no encoding can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _record(path: Path, row: int, line: bytes, parse: Callable[[str], object]) -> dict[str, Any]:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise bad_file(
            path,
            f"is not UTF-8 in row {row} ({shown(line[error.start : error.start + 8])})",
            "save it as UTF-8",
        ) from None
    if row == 1 and text.startswith("["):
        raise bad_file(path, "holds a JSON array", "write one object a line (JSON lines)")
    try:
        record = parse(text)
    except RecursionError:
        raise bad_file(path, f"has values nested too deeply in row {row}", DROP) from None
    except (ValueError, TypeError, SyntaxError, MemoryError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise bad_file(
            path, f"has no JSON object in row {row} ({reason}: {shown(text)})", DROP
        ) from None
    if not isinstance(record, dict):
        raise bad_file(path, f"has no JSON object in row {row}, but {shown(record)}", DROP)
    return record


def _json_or_literal(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        with warnings.catch_warnings():  # "\d" in a literal is a backslash and a d
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)


def _without_rows(path: Path) -> ValueError:
    return bad_file(path, "is empty: it has no rows", "give the downloaded file")
