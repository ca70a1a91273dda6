"""Blocks of lines: whole lines whatever the block size, gzip by content, damage in one line."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data import raw_lines
from beamwise.data.raw_lines import line_blocks


def read(path):
    return list(line_blocks(path))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lines.txt"


@given(content=st.binary(max_size=60).map(lambda b: b"x" + b), size=st.integers(1, 20))
def test_blocks_are_whole_lines_and_lose_nothing(tmp_path_factory, content, size):
    path = tmp_path_factory.mktemp("lines") / "lines.txt"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_lines, "BLOCK_BYTES", max(size, 3))  # 3: a byte order mark is one read
        blocks = read(path)
    assert b"".join(blocks) == content
    assert all(block.endswith(b"\n") for block in blocks[:-1])


def test_gzip_is_told_by_its_content(path):
    path.write_bytes(gzip.compress(b"a\nb\n", mtime=0) + gzip.compress(b"c", mtime=0))
    assert b"".join(read(path)) == b"a\nb\nc"
    named = path.with_suffix(".gz")
    named.write_bytes(b"plain\n")
    assert read(named) == [b"plain\n"]


def test_a_byte_order_mark_is_passed_over(path):
    path.write_bytes(b"\xef\xbb\xbfa\n")
    assert read(path) == [b"a\n"]


def test_an_empty_file_has_no_blocks(path):
    path.write_bytes(b"")
    assert read(path) == []


def test_a_line_without_end_is_refused(path, monkeypatch):
    monkeypatch.setattr(raw_lines, "BLOCK_BYTES", 4)
    monkeypatch.setattr(raw_lines, "LONGEST_LINE", 8)
    path.write_bytes(b"12345678\n12345678\n")
    assert b"".join(read(path)) == b"12345678\n12345678\n"
    path.write_bytes(b"1234567890")
    with pytest.raises(ValueError, match=r"lines.txt has a line of more than .* one record a line"):
        read(path)


COMPRESSED = gzip.compress(b"one line\n" * 100, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (COMPRESSED[:-9], "is cut short: its gzip stream ends early: fetch it again"),
        (COMPRESSED[:14], "is cut short"),
        (b"\x1f\x8b", "is cut short"),
        (COMPRESSED[:20] + b"\xff" * 9 + COMPRESSED[29:], r"is not readable \(.*: fetch it again"),
        (COMPRESSED + b"trailing", r"is not readable \(Not a gzipped file"),
        (COMPRESSED[:-8] + b"\0" * 8, r"is not readable \(CRC check failed"),
        (b"PK\x03\x04 an archive", "is a zip archive: unpack it"),
    ],
)
def test_damage_gets_one_line(path, content, message):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"lines.txt {message}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_no_file_and_a_folder(path, tmp_path):
    with pytest.raises(ValueError, match=r"no file at .*lines.txt: give the path"):
        read(path)
    with pytest.raises(ValueError, match=r"is a folder: name a file in it"):
        read(tmp_path)
