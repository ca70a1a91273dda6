"""Tables in Parquet, streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from beamwise.data.bad_input import bad_file, bad_value
from beamwise.data.raw_batches import ROWS_AT_ONCE, RawBatch

TextOf = Callable[[object], str | None]
"""How a value of another type is told in text."""


def parquet_header(path: Path) -> list[str]:
    """Names of the columns.

    Raises:
        ValueError: One line, if the file is not readable as Parquet.
    """
    return _open(path).schema_arrow.names


def read_parquet_batches(
    path: Path, names: Sequence[str], text_of: TextOf | None = None
) -> Iterator[RawBatch]:
    """Read columns: texts, whole and other numbers, truth values, dates and times as they are.

    Times with a zone become UTC without one, and dates times.

    Args:
        path: A file.
        names: Columns that `parquet_header` has, each once.
        text_of: What makes text of values of all other types; where not given, these are refused.

    Raises:
        ValueError: One line, if the file is not readable as Parquet, has no rows, or a column is of
            another type.
    """
    file = _open(path)
    first_row = 1
    try:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(names)):
            batch.validate(full=True)
            columns = [_plain(path, name, batch.column(name), text_of) for name in names]
            table = pl.DataFrame(dict(zip(names, columns, strict=True)))
            _check_no_nul(path, first_row, table)
            yield RawBatch(first_row, table)
            first_row += table.height
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None
    if first_row == 1:
        raise bad_file(path, "has no rows", "give a file with rows")


def _open(path: Path) -> pq.ParquetFile:
    if path.is_dir():
        raise bad_file(path, "is a folder", "name a file in it")
    if not path.is_file():
        raise ValueError(f"no file at {path}: give the path of a Parquet file")
    if not path.stat().st_size:
        raise bad_file(path, "is empty", "give a file with rows")
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return bad_file(path, f"is not readable as Parquet ({reason})", "fetch or write it again")


def _plain(path: Path, name: str, values: pa.Array, text_of: TextOf | None) -> pl.Series:
    if types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if types.is_null(kind) or types.is_string(kind) or types.is_string_view(kind):
        values = values.cast(pa.large_string())
    elif types.is_timestamp(kind) and text_of is not None:
        values = values.view(pa.timestamp(kind.unit)).cast(pa.large_string())
    elif types.is_timestamp(kind):
        unit = "ms" if kind.unit == "s" else kind.unit
        values = values.view(pa.timestamp(kind.unit)).cast(pa.timestamp(unit))
    elif types.is_date(kind) and text_of is not None:
        values = values.cast(pa.large_string())
    elif types.is_date(kind):
        values = values.cast(pa.timestamp("ms"))
    elif types.is_float16(kind):
        values = values.cast(pa.float32())
    elif not (_is_number(kind) or types.is_large_string(kind)):
        if text_of is None:
            raise bad_file(
                path, f"has the column {name!r} of type {kind}", "write text, numbers or dates"
            )
        texts = [text_of(value) for value in values.to_pylist()]
        return pl.Series(name, texts, dtype=pl.String)
    return pl.Series(name, values)


def _is_number(kind: pa.DataType) -> bool:
    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)


def _check_no_nul(path: Path, first_row: int, table: pl.DataFrame) -> None:
    for texts in table.select(pl.col(pl.String)):
        nul = texts.str.contains("\0", literal=True)
        if nul.any():
            row = nul.arg_max() or 0
            raise bad_value(
                path, first_row + row, texts.name, texts[row], "text (a NUL byte)", "correct it"
            )
