"""Semantic IDs of the user's own, from a table or an array."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from tokenize import TokenError

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from beamwise.data.bad_input import bad_file, bad_value, shown

ENDINGS = (".csv", ".tsv", ".parquet", ".npy")
LARGEST_CODE = 999_999
"""As in the published form `<a_159>`, which has at most 6 digits."""
EXPECTED = f"a code, a whole number 0..{LARGEST_CODE:,}"
_CODE = re.compile(r"<[A-Za-z]_([0-9]{1,6})>|([0-9]{1,6})(?:\.0+)?")
_DAMAGED = (OSError, ValueError, EOFError, OverflowError, SyntaxError, TokenError, TypeError)
"""What numpy raises on a header that is none: it is read as a Python literal."""
_BETWEEN = re.compile(r"(?<=>)(?=<)|\s*,\s*|\s+")


def read_semantic_ids(path: Path, item_ids: pl.Series) -> pl.DataFrame:
    """Read a semantic ID for every item.

    A table (`.csv`, `.tsv`, `.parquet`) has a column `item_id` and either one column a level, in
    the order of the levels, or one column `codes` with a list, or a text such as `3 17 200`,
    `[3, 17, 200]` or `<a_3><b_17><c_200>`; its rows may stand in any order. An array (`.npy`) holds
    whole numbers `(items, levels)`, its rows in the order of `item_ids`. Items may share codes.

    Args:
        path: The file; its ending says which of these it is.
        item_ids: The items of the dataset, unique, in the order of their indices.

    Returns:
        `item_id` String and `codes` List(Int32), in the order of `item_ids`.

    Raises:
        ValueError: One line with file, row, column, value and fix: if the file is not readable, an
            item is unknown, repeated or missing, or its codes are no codes or not as many as those
            of the others.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise bad_file(path, "is of no known format", f"name a file {', '.join(ENDINGS)}")
    if not path.is_file():
        raise bad_file(path, "is no file", "name the file with the semantic IDs")
    if ending == ".npy":
        codes = _read_array(path, len(item_ids))
    else:
        header, rows = _read_parquet(path) if ending == ".parquet" else _read_text(path, ending)
        ids, codes = _parsed(path, header, rows)
        codes = codes[_rows_of(path, pl.Series("item_id", ids, dtype=pl.String), item_ids)]
    lists = pl.Series("codes", codes, dtype=pl.Array(pl.Int32, codes.shape[1]))
    return pl.DataFrame([item_ids.alias("item_id"), lists.cast(pl.List(pl.Int32))])


def _read_text(path: Path, ending: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a delimited file; a blank line is an empty row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter="\t" if ending == ".tsv" else ",", strict=True)
            header = [name.strip() for name in next(lines, [])]
            return header, list(lines)
    except UnicodeDecodeError as error:
        raise bad_file(path, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except csv.Error as error:
        raise bad_file(path, f"is no table of text ({error})", "save it again") from None
    except OSError as error:
        raise bad_file(path, f"cannot be opened ({error.strerror})", "check the file") from None


def _read_parquet(path: Path) -> tuple[list[str], Iterable[Sequence[str | None]]]:
    """Header and rows, every value as text."""
    try:
        table = parquet.read_table(path)  # polars panics on damaged files
        table.validate(full=True)
        columns = [[_as_text(value) for value in column.to_pylist()] for column in table.columns]
        return table.column_names, zip(*columns, strict=True)
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise bad_file(path, f"is not readable ({shown(reason)})", "write it again") from None


def _as_text(value: object) -> str | None:
    """A value as a file of text has it; None where a code is missing."""
    if isinstance(value, list):
        return None if None in value else " ".join(map(str, value))
    return None if value is None else str(value)


def _parsed(
    path: Path, header: list[str], rows: Iterable[Sequence[str | None]]
) -> tuple[list[str], np.ndarray]:
    """Item ids and codes `(rows, levels)`, in the order of the rows."""
    places = _places_of_codes(path, header)
    at_item = header.index("item_id")
    ids: list[str] = []
    codes = array("i")
    num_levels = 0 if header[places[0]] == "codes" else len(places)
    for row, values in enumerate(rows, start=1):
        if not values:
            continue
        if len(values) != len(header):
            what = f"has {len(values)} values in row {row}, its header names {len(header)}"
            raise bad_file(path, what, "give every row as many")
        item = values[at_item]
        if not item:
            raise bad_value(path, row, "item_id", item, "an item id", "name the item")
        found = [code for place in places for code in _codes_in(path, row, header, values, place)]
        num_levels = num_levels or len(found)
        if len(found) != num_levels:
            expected = f"of {num_levels} codes, as in the first row"
            fix = "give every item as many codes"
            raise bad_value(path, row, header[places[0]], values[places[0]], expected, fix)
        ids.append(item)
        codes.extend(found)
    if not ids:
        raise bad_file(path, "has no rows", "give a row for every item")
    return ids, np.frombuffer(codes, dtype=np.int32).reshape(-1, num_levels)


def _places_of_codes(path: Path, header: list[str]) -> list[int]:
    """Which columns hold codes, after a check of the header."""
    if "item_id" not in header:
        named = ", ".join(shown(name) for name in header[:10]) or "none"
        raise bad_file(path, f"has no column 'item_id' (it has {named})", "name the columns so")
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise bad_file(path, f"has two columns {shown(repeated[0])}", "keep one of them")
    places = [place for place, name in enumerate(header) if name != "item_id"]
    if not places:
        raise bad_file(path, "has no codes", "add a column 'codes', or one a level")
    if "codes" in header and len(places) > 1:
        other = next(header[place] for place in places if header[place] != "codes")
        raise bad_file(path, f"has the column {shown(other)} beside 'codes'", "keep one form")
    return places


def _codes_in(
    path: Path, row: int, header: list[str], values: Sequence[str | None], place: int
) -> list[int]:
    """The codes of one cell: all of an item's, or that of one level."""
    name, text = header[place], values[place] or ""
    if name != "codes":
        parts, expected = [text.strip()], EXPECTED
    else:
        text = text.strip()
        is_list = text.startswith("[") and text.endswith("]")
        parts = _BETWEEN.split(text[1:-1].strip() if is_list else text)
        expected = f"codes 0..{LARGEST_CODE:,} as in '3 17 200' or '<a_3><b_17><c_200>'"
    codes = [code for part in parts if (code := _code(part)) is not None]
    if len(codes) != len(parts):
        fix = "give every item all its codes"
        raise bad_value(path, row, name, values[place], expected, fix)
    return codes


@lru_cache(maxsize=1 << 16)  # few codes stand in many cells
def _code(text: str) -> int | None:
    found = _CODE.fullmatch(text)
    return int(found[1] or found[2]) if found else None


def _rows_of(path: Path, found: pl.Series, item_ids: pl.Series) -> np.ndarray:
    """The row of every item, after a check that each has exactly one and no other item has."""
    rows = pl.DataFrame({"item_id": found}).with_row_index("row")
    repeated = rows.filter(~pl.col("item_id").is_first_distinct())
    unknown = rows.join(item_ids.alias("item_id").to_frame(), on="item_id", how="anti")
    for wrong, expected, fix in (
        (repeated, "an item that no row before has", "keep one row an item"),
        (unknown.sort("row"), "an item of the dataset", "drop the row or correct the id"),
    ):
        if len(wrong):
            row, item = wrong.row(0)
            raise bad_value(path, row + 1, "item_id", item, expected, fix)
    placed = (
        item_ids.alias("item_id")
        .to_frame()
        .join(rows, on="item_id", how="left", maintain_order="left")
    )
    if placed["row"].null_count():
        lost = placed.filter(pl.col("row").is_null())["item_id"]
        what = f"has no codes for {len(lost):,} of {len(item_ids):,} items, as for {lost[0]!r}"
        raise bad_file(path, what, "add a row for every item")
    return placed["row"].to_numpy()


def _read_array(path: Path, num_items: int) -> np.ndarray:
    try:
        values = np.lib.format.open_memmap(path, mode="r")
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise bad_file(path, f"is no array ({shown(reason)})", "write it with numpy.save") from None
    if values.dtype.kind not in "iuf":
        raise bad_file(path, f"holds {values.dtype}", "save one array of whole numbers")
    if values.ndim != 2 or values.shape[0] != num_items or values.shape[1] == 0:
        what = f"holds an array of shape {values.shape}, expected ({num_items}, levels)"
        raise bad_file(path, what, "save a row for every item, in the order of the items")
    fits = (values >= 0) & (values <= LARGEST_CODE) & (np.floor(values) == values)  # NaN never
    if not fits.all():
        row, level = np.argwhere(~fits)[0]
        fix = "save whole numbers, all codes of every item"
        value = values[row, level].item()
        raise bad_value(path, int(row) + 1, f"level {level + 1}", value, EXPECTED, fix)
    return np.asarray(values).astype(np.int32)
