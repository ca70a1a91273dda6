"""Reads vectors from `.npy`, Parquet and CSV files, and refuses what is no vector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float32, Shaped

from beamwise.data.bad_input import bad_file, bad_value
from beamwise.data.parquet_files import read_table

FIX = "write the file again with finite numbers"


def read_vectors(path: Path) -> tuple[pl.Series | None, Float32[np.ndarray, "rows dim"]]:
    """The item ids, None where the format has none, and the vectors.

    Raises:
        ValueError: One line with file, row and column: a file that is missing or of another format,
            an id that is null or stands twice, vectors of different lengths, a value that is no
            finite number.
    """
    if not path.is_file():
        raise bad_file(path, "is not there", "give the path of the file with the vectors")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return None, _finite(path, _read_npy(path), None)
    if suffix == ".parquet":
        table = _read_table(path, lambda path: read_table(path, fix="write it again"))
    elif suffix == ".csv":
        table = _numbers(path, _read_table(path, _read_csv))
    else:
        raise bad_file(path, "is no .npy, .parquet or .csv file", "write one of these")
    return _item_ids(path, table), _vectors(path, table)


def _read_npy(path: Path) -> Shaped[np.ndarray, "rows dim"]:
    try:
        # Mapped, so that a header which promises more than there is takes no memory.
        values = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        raise bad_file(path, f"is no .npy file of numbers ({reason})", "write it again") from None
    if values.ndim != 2 or values.dtype.kind not in "fiu" or values.size == 0:
        raise bad_file(
            path,
            f"holds {values.dtype} of shape {values.shape}",
            "write real numbers of shape (items, dim)",
        )
    return values


def _read_csv(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


def _read_table(path: Path, read: Callable[[Path], pl.DataFrame]) -> pl.DataFrame:
    try:
        table = read(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        raise bad_file(
            path, f"is not readable as {path.suffix[1:]} ({reason})", "write it again"
        ) from None
    if "item_id" not in table.columns or table.width < 2 or table.is_empty():
        raise bad_file(
            path,
            f"has the columns {', '.join(table.columns) or 'none'} and {table.height:,} rows",
            "give it item_id, and beside it a list column 'vector' or columns of numbers",
        )
    return table


def _numbers(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """A table of text with all but item_id read as numbers."""
    numbers = table.with_columns(pl.exclude("item_id").cast(pl.Float64, strict=False))
    for text in table.drop("item_id"):
        _refuse(path, text, numbers[text.name].is_null(), "a number", FIX)
    return numbers


def _item_ids(path: Path, table: pl.DataFrame) -> pl.Series:
    ids = table["item_id"]
    if ids.dtype != pl.String and not ids.dtype.is_integer():
        raise _bad(path, ids, 0, "text or a whole number", "write ids as text")
    ids = ids.cast(pl.String)
    _refuse(path, ids, ids.is_null() | (ids == ""), "an id", "drop the row")
    has_row_above = ~ids.is_first_distinct()
    _refuse(path, ids, has_row_above, "new: the item has a row above", "keep one of them")
    return ids


def _vectors(path: Path, table: pl.DataFrame) -> Float32[np.ndarray, "rows dim"]:
    if "vector" in table.columns and table["vector"].dtype.is_nested():
        return _finite(path, _lists(path, table["vector"]), ["vector"])
    numbers = table.drop("item_id")
    for column in numbers:
        if not column.dtype.is_numeric():
            raise _bad(path, column, 0, "a number", "drop the column")
        _refuse(path, column, column.is_null(), "a number", FIX)
    return _finite(path, numbers.to_numpy(), numbers.columns)


def _lists(path: Path, lists: pl.Series) -> Shaped[np.ndarray, "rows dim"]:
    """Lists of equal length as one array."""
    if isinstance(lists.dtype, pl.Array):
        lists = lists.arr.to_list()
    if not isinstance(lists.dtype, pl.List) or not lists.dtype.inner.is_numeric():
        raise _bad(path, lists, 0, "a list of numbers", FIX)
    lengths = lists.list.len().fill_null(0)
    dim = lengths[0] or 1
    has_null = lists.list.eval(pl.element().is_null()).list.any().fill_null(value=False)
    _refuse(
        path,
        lists,
        (lengths != dim) | has_null,
        f"a list of numbers as long as the first, {dim}",
        FIX,
    )
    return lists.explode().to_numpy().reshape(len(lists), dim)


def _refuse(path: Path, values: pl.Series, is_bad: pl.Series, expected: str, fix: str) -> None:
    """Refuse the first of the bad values of a column."""
    if is_bad.any():
        raise _bad(path, values, int(is_bad.arg_max() or 0), expected, fix)


def _bad(path: Path, values: pl.Series, index: int, expected: str, fix: str) -> ValueError:
    value = values[index]
    plain = value.to_list() if isinstance(value, pl.Series) else value
    return bad_value(path, index + 1, values.name, plain, expected, fix)


def _finite(
    path: Path, values: Shaped[np.ndarray, "rows dim"], columns: list[str] | None
) -> Float32[np.ndarray, "rows dim"]:
    """The values as fp32, which all of them must fit.

    Args:
        path: The file.
        values: Numbers of any type.
        columns: Names of the columns, one where a column holds the lists, None where there are
            only positions.
    """
    with np.errstate(over="ignore"):  # what overflows is refused below
        vectors = values.astype(np.float32)
    bad = ~np.isfinite(vectors)
    if bad.any():
        row, column = (int(place) for place in np.argwhere(bad)[0])
        names = columns or [str(position + 1) for position in range(values.shape[1])]
        name = names[column] if len(names) > 1 else names[0]
        number = float(values[row, column])
        raise bad_value(path, row + 1, name, number, "a finite number of 32 bits", FIX)
    return np.ascontiguousarray(vectors)
