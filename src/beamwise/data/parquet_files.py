"""The Parquet files of our own folders."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from beamwise.data.raw_batches import ROWS_AT_ONCE

PREPARE = "run `beamwise prepare` again"
"""The remedy for the files of a dataset folder."""


class UnreadableFileError(ValueError):
    """A file that is not there or is not Parquet; the message names it, in one line."""


def read_table(path: Path, fix: str = PREPARE) -> pl.DataFrame:
    """Read a Parquet file whole.

    Args:
        path: The file.
        fix: What the message says to do about a file that is not readable.

    Raises:
        UnreadableFileError: If there is no such file or it is not Parquet.
    """
    with _readable(path, fix), pq.ParquetFile(path) as file:
        return _as_polars(file.read())


def table_parts(path: Path, columns: Collection[str]) -> Iterator[pl.DataFrame]:
    """Some columns of a Parquet file, those that it has, in parts of bounded size.

    The first part has no rows, so that there is always one.

    Raises:
        UnreadableFileError: As `read_table`.
    """
    with _readable(path, PREPARE), pq.ParquetFile(path, pre_buffer=False) as file:
        found = [name for name in file.schema_arrow.names if name in columns]
        yield _as_polars(file.schema_arrow.empty_table().select(found))
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=found):
            yield _as_polars(pa.Table.from_batches([batch]))


def _as_polars(table: pa.Table) -> pl.DataFrame:
    """The table, dictionaries as plain text, after a check that its text is UTF-8."""
    table.validate(full=True)
    plain = [
        pa.field(field.name, field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return pl.DataFrame(table.cast(pa.schema(plain)))


@contextmanager
def _readable(path: Path, fix: str) -> Iterator[None]:
    if not path.is_file():
        raise UnreadableFileError(f"no file at {path}: {fix}")
    try:
        yield
    except (
        OSError,
        UnicodeDecodeError,
        pa.ArrowException,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
    ) as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        raise UnreadableFileError(f"{path} is not readable as Parquet ({reason}): {fix}") from None
