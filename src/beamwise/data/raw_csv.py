"""Tables in text: CSV and its kin, plain or gzip, streamed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from beamwise.data.bad_input import bad_file, bad_value, shown
from beamwise.data.raw_batches import ROWS_AT_ONCE, RawBatch
from beamwise.data.raw_lines import GZIP_MAGIC, line_blocks

BLOCK_BYTES = 1 << 23
"""Bytes that are parsed at once; no row is longer."""
TAIL_BYTES = 1 << 10
"""How much of a file's end is looked at for a closing quote."""
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def csv_header(path: Path, separator: str) -> list[str]:
    """Names of the columns, as the first line that is not blank has them.

    Raises:
        ValueError: One line, if the file is not readable, empty, no text, or not UTF-8.
    """
    _check_gzip(path)
    head = next(line_blocks(path), b"").lstrip(b"\r\n")
    line = re.split(rb"[\r\n]", head, maxsplit=1)[0]
    if not line:
        raise bad_file(path, "is empty: it has no rows", "give a file with a header and rows")
    if line.startswith(UTF16_MARKS):
        raise bad_file(path, "is UTF-16", "save it as UTF-8")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 in its header ({shown(line[error.start : error.start + 8])})"
        raise bad_file(path, what, "save it as UTF-8") from None
    if "\0" in text:
        raise bad_file(path, "has a NUL byte in its header", "save it as UTF-8 text")
    try:
        return next(csv.reader([text], delimiter=separator))
    except csv.Error as error:
        raise bad_file(
            path, f"has no header ({error})", "name the columns in its first row"
        ) from None


def read_csv_batches(
    path: Path, names: Sequence[str], separator: str, header: Sequence[str] | None = None
) -> Iterator[RawBatch]:
    """Read columns of a table as text, under their own names.

    Fields may be quoted with `"`, and then hold the separator, line ends and doubled quotes. Blank
    lines are passed over and not counted.

    Args:
        path: Plain or gzip.
        names: Columns that `csv_header` has, each once.
        separator: One character between fields.
        header: Names of the columns of a file that has no header.

    Raises:
        ValueError: One line, if the file is not readable, a row has more or fewer fields than the
            header, a quote is not closed, or a value is not UTF-8 or has a NUL byte.
    """
    last = (csv_header(path, separator) if header is None else header)[-1]
    source = _Blocks(path)
    first_row, end = 1, b""
    try:
        for batch in _open(source, {*names, last}, separator, header):
            end = batch.column(last)[-1].as_py() if batch.num_rows else end
            columns = {n: _checked(path, first_row, n, batch.column(n)) for n in names}
            for part in pl.DataFrame(columns).iter_slices(ROWS_AT_ONCE):
                yield RawBatch(first_row, part)
                first_row += part.height
    except pa.ArrowException as error:
        raise _explained(path, first_row, str(error), header is not None) from None
    if first_row == 1:
        raise bad_file(path, "has a header and no rows", "give a file with rows")
    if re.search(rb"[\r\n]", end) and not source.tail.rstrip(b"\r\n").endswith(b'"'):
        what = f"opens a quote in row {first_row - 1} that is never closed"
        raise bad_file(path, what, "close it, or double a quote that is meant")


class _Blocks(io.RawIOBase):
    """The blocks of a file as a stream, which ends with a line end."""

    def __init__(self, path: Path) -> None:
        self._blocks = line_blocks(path)
        self._block = memoryview(b"")
        self.tail = b""
        """The last bytes read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill as much of the buffer as the present block can."""
        if not len(self._block):
            block = next(self._blocks, b"")
            if block and not block.endswith(b"\n"):  # the last one
                block += b"\n"
            self.tail = (self.tail + block[-TAIL_BYTES:])[-TAIL_BYTES:]
            self._block = memoryview(block)
        count = min(len(buffer), len(self._block))
        buffer[:count] = self._block[:count]
        self._block = self._block[count:]
        return count


def _open(
    source: _Blocks, names: set[str], separator: str, header: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Single-threaded, for then Arrow's messages name the row; text is decoded by us."""
    import pyarrow.csv as arrow_csv

    return arrow_csv.open_csv(
        source,
        read_options=arrow_csv.ReadOptions(
            block_size=BLOCK_BYTES, use_threads=False, column_names=header and list(header)
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=sorted(names), column_types=dict.fromkeys(names, pa.binary())
        ),
    )


def _checked(path: Path, first_row: int, name: str, values: pa.Array) -> pl.Series:
    try:
        texts = pl.Series(name, values.cast(pa.large_string()), dtype=pl.String)
    except pa.ArrowInvalid:
        row, value = _first_not_utf8(values)
        raise bad_value(
            path, first_row + row, name, value, "UTF-8", "save the file as UTF-8"
        ) from None
    nul = texts.str.contains("\0", literal=True)
    if nul.any():
        row = nul.arg_max() or 0
        raise bad_value(
            path, first_row + row, name, texts[row], "text (a NUL byte)", "correct or drop the row"
        )
    return texts


def _first_not_utf8(values: pa.Array) -> tuple[int, bytes]:
    for row, value in enumerate(values.to_pylist()):
        try:
            value.decode()
        except UnicodeDecodeError:
            return row, value
    raise AssertionError("Arrow refused text that Python decodes")


def _explained(path: Path, first_row: int, message: str, headless: bool) -> ValueError:
    """Arrow's message in our words."""
    ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message)
    if ragged:
        row, expected, got = (int(number) for number in ragged.groups())
        place = f"row {row} and not {expected}"
        if not headless:
            place = f"row {row - 1} and {expected} in its header"
        return bad_file(
            path,
            f"has {got} fields in {place}",
            "correct or drop the row, quote a field that holds the separator, "
            "or set another separator",
        )
    if "straddling" in message:
        return bad_file(
            path,
            f"has a row of more than {BLOCK_BYTES >> 20} MiB after row {first_row - 1}",
            "close the quote that was opened there",
        )
    return bad_file(path, f"is no table in text ({' '.join(message.split())})", "check the file")


def _check_gzip(path: Path) -> None:
    """A name that ends with .gz promises gzip; without it, content decides."""
    if path.suffix.lower() != ".gz" or not path.is_file():
        return
    with path.open("rb") as file:
        magic = file.read(2)
    if magic and magic != GZIP_MAGIC:
        raise bad_file(path, "is no gzip file", "compress it, or drop .gz from its name")
