"""Lines of a text file, plain or gzip, read in blocks of bounded size."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from io import BufferedIOBase, BufferedReader
from pathlib import Path

from beamwise.data.bad_input import bad_file

BLOCK_BYTES = 1 << 24
"""Bytes read at once."""
LONGEST_LINE = 1 << 26
"""Bytes of a line at most, so that a file without line ends is refused and not swallowed."""
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"


def line_blocks(path: Path) -> Iterator[bytes]:
    """Successive blocks of whole lines with their line ends; the last line may lack its own.

    Whether the file is gzip is told by its first bytes, not by its name. A byte order mark of UTF-8
    is passed over. An empty file has no blocks.

    Raises:
        ValueError: One line, if there is no such file, it is not readable, its gzip stream is
            damaged or cut short, it is a zip archive, or a line is longer than `LONGEST_LINE`.
    """
    with _opened(path) as raw:
        file = gzip.GzipFile(fileobj=raw) if raw.peek(2).startswith(GZIP_MAGIC) else raw
        rest = b""
        chunk = _read(path, file).removeprefix(codecs.BOM_UTF8)
        while chunk:
            cut = chunk.rfind(b"\n") + 1
            if cut:
                yield rest + chunk[:cut]
                rest = chunk[cut:]
            else:
                rest += chunk
            if len(rest) > LONGEST_LINE:
                raise bad_file(
                    path,
                    f"has a line of more than {LONGEST_LINE >> 20} MiB",
                    "give a file with one record a line",
                )
            chunk = _read(path, file)
        if rest:
            yield rest


def _opened(path: Path) -> BufferedReader:
    try:
        file = path.open("rb")
        magic = file.peek(4)
    except FileNotFoundError:
        raise ValueError(f"no file at {path}: give the path of the downloaded file") from None
    except IsADirectoryError:
        raise bad_file(path, "is a folder", "name a file in it") from None
    except OSError as error:
        raise bad_file(path, f"is not readable ({error.strerror})", "check the file") from None
    if magic.startswith(ZIP_MAGIC):
        file.close()
        raise bad_file(path, "is a zip archive", "unpack it and name the file in it")
    return file


def _read(path: Path, file: BufferedIOBase) -> bytes:
    try:
        return file.read(BLOCK_BYTES)
    except EOFError:
        raise bad_file(path, "is cut short: its gzip stream ends early", "fetch it again") from None
    except (OSError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise bad_file(path, f"is not readable ({reason})", "fetch it again") from None
