"""A user's table in every format: equal rows, and one line for everything that can be wrong."""

import gzip
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data import raw_csv, raw_parquet
from beamwise.data.raw_tables import format_of, read_batches

COLUMNS = {"user_id": "who", "item_id": "what"}
HEADER = b"who,what,when\n"
ROWS = [("ann", "pen", "1"), ("bob", "ink, red", "2"), ("ann", 'a "fine" pen', "3")]
TEXT = HEADER + b'ann,pen,1\nbob,"ink, red",2\nann,"a ""fine"" pen",3\n'


def rows_of(path, columns=COLUMNS, **settings) -> list[tuple]:
    batches = list(read_batches(path, columns, **settings))
    expected = 1
    for batch in batches:
        assert batch.first_row == expected
        assert batch.table.columns == list(columns)
        expected += batch.table.height
    return pl.concat([batch.table for batch in batches]).rows()


def write(path, content: bytes):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def refused(path, message: str, **settings) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        rows_of(path, **settings)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.CSV.gz", "a.tsv", "a.tsv.gz"])
def test_text_golden(tmp_path, name):
    text = TEXT
    if "tsv" in name:
        text = TEXT.replace(b'"ink, red"', b"ink; red").replace(b",", b"\t").replace(b";", b",")
    assert rows_of(write(tmp_path / name, text)) == [row[:2] for row in ROWS]


def test_parquet_golden(tmp_path):
    table = pl.DataFrame(ROWS, schema=["who", "what", "when"], orient="row")
    table.with_columns(pl.col("when").cast(pl.Int64)).write_parquet(tmp_path / "a.parquet")
    times = COLUMNS | {"timestamp": "when"}
    assert rows_of(tmp_path / "a.parquet", times) == [(*row[:2], int(row[2])) for row in ROWS]


def test_json_lines_golden(tmp_path):
    lines = [json.dumps(dict(zip(("who", "what", "when"), row, strict=True))) for row in ROWS]
    path = write(tmp_path / "a.jsonl", "\n".join([*lines, '{"who": "eve"}']).encode())
    assert rows_of(path) == [*(row[:2] for row in ROWS), ("eve", None)]


def test_a_column_may_serve_twice(tmp_path):
    path = write(tmp_path / "a.csv", TEXT)
    assert rows_of(path, {"x": "when", "y": "when"}) == [(t, t) for t in "123"]


def test_format_overrides_the_name(tmp_path):
    path = write(tmp_path / "a.txt", TEXT)
    assert rows_of(path, format="csv") == [row[:2] for row in ROWS]
    refused(tmp_path, "is a folder: name a file in it")
    refused(tmp_path, "is a folder: name a file in it", format="parquet")
    refused(path, r"a.txt does not tell its format: end its name with .csv, or set format to one")
    with pytest.raises(ValueError, match=r"unknown format 'xlsx': choose one of csv, tsv, parquet"):
        rows_of(path, format="xlsx")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.ndjson.gz", "jsonl"), ("a.json", "jsonl"), ("v1.2.csv", "csv"), ("a.tsv.GZ", "tsv")],
)
def test_format_of(tmp_path, name, kind):
    assert format_of(tmp_path / name) == kind


def test_other_separators(tmp_path):
    path = write(tmp_path / "a.csv", b"who;what\nann;pen, red\n")
    assert rows_of(path, separator=";") == [("ann", "pen, red")]
    refused(path, r"has one column, 'who;what': add --set 'separator=;'", separator=",")
    refused(path, r"has no column 'who' \(there are: 'who;what'", separator=",", fix="as published")
    refused(write(tmp_path / "b.csv", b"who\twhat\n"), "'who.*what': add --set format=tsv")
    one = write(tmp_path / "c.csv", b"who;what\nann;pen\n")
    assert rows_of(one, {"x": "who;what"}) == [("ann;pen",)]  # it may be meant
    refused(write(tmp_path / "d.csv", b"who\nann\n"), "has no column 'what'")
    for bad in ("", "::", "\n", '"', "é"):
        with pytest.raises(ValueError, match="cannot separate fields: give one ASCII character"):
            rows_of(path, separator=bad)


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + TEXT,
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"\n", b"\r"),
        TEXT.rstrip(b"\n"),
        b"\n\n" + TEXT.replace(b"\n", b"\n\n"),
        TEXT.replace(b"bob", b'"bob"'),
    ],
)
def test_ways_to_write_the_same(tmp_path, text):
    assert rows_of(write(tmp_path / "a.csv", text)) == [row[:2] for row in ROWS]


def test_quoted_line_ends(tmp_path):
    text = HEADER + b'"a\nn","p\r\nen",1\nbob,ink,"2\n"\n'
    assert rows_of(write(tmp_path / "a.csv", text)) == [("a\nn", "p\r\nen"), ("bob", "ink")]


cells = st.text(st.sampled_from('ab,"\n\r\té\t;#\\ '), max_size=6)


@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5))
def test_what_polars_writes_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    table = pl.DataFrame(rows, schema=["who", "what", "when"], orient="row")
    table.write_csv(path, quote_style="always")
    assert rows_of(path) == [row[:2] for row in rows]


def test_rows_are_numbered_over_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_csv, "BLOCK_BYTES", 64)
    monkeypatch.setattr(raw_csv, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(raw_parquet, "ROWS_AT_ONCE", 3)
    rows = [(f"u{row}", f"i{row}") for row in range(50)]
    text = b"".join(f"{who},{what},\n".encode() for who, what in rows)
    assert rows_of(write(tmp_path / "a.csv", HEADER + text)) == rows
    refused(write(tmp_path / "a.csv", HEADER + text + b"u,i\n"), "has 2 fields in row 51 and 3 in")
    refused(write(tmp_path / "a.csv", HEADER + text + b"u,\xff,\n"), "row 51, column 'what'")
    refused(
        write(tmp_path / "a.csv", HEADER + text + b'u,"' + text * 2),
        "has a row of more than 0 MiB after row .*: close the quote",
    )
    table = pl.DataFrame(rows, schema=["who", "what"], orient="row")
    table.write_parquet(tmp_path / "a.parquet")
    assert rows_of(tmp_path / "a.parquet") == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty: it has no rows: give a file with a header"),
        (b"\n\r\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (HEADER, "has a header and no rows: give a file with rows"),
        (HEADER.rstrip(), "has a header and no rows"),
        (HEADER + b"\n\n", "has a header and no rows"),
        (b"who,item,when\na,b,1\n", r"has no column 'what' \(there are: 'who', 'item', 'when'"),
        (b"who,whta\na,b\n", "the nearest is 'whta'.: name the one that holds it with "
         "--column item_id=NAME"),
        (b"who,what,who\na,b,c\n", "has 2 columns of the name 'who': give each its own name"),
        (HEADER + b"a,b,1\nc,d\n", "has 2 fields in row 2 and 3 in its header: correct or drop"),
        (HEADER + b"a,b,1\n\nc,d,1,2\n", "has 4 fields in row 2 and 3 in its header"),
        (HEADER + b"a,b\xff,1\n", r"row 1, column 'what': b'b\\xff' is not UTF-8: save the file"),
        (HEADER + b"a,b\0,1\n", r"row 1, column 'what': 'b\\x00' is not text \(a NUL byte\)"),
        (b"who,what\xff\na,b\n", "is not UTF-8 in its header .*: save it as UTF-8"),
        (b"who,what\0\na,b\n", "has a NUL byte in its header"),
        ("who,what\na,b\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (HEADER + b'a,b,"1\nc,d,2\n', "opens a quote in row 1 that is never closed: close it"),
        (HEADER + b'a,b,1\nc,d,"2', "opens a quote in row 2 that is never closed"),
        (HEADER + b'a,"b,1\nc,d,2\n', "has 2 fields in row 1 and 3 in its header"),
        (b"PK\x03\x04rest", "is a zip archive"),
    ],
)  # fmt: skip
def test_bad_text_gets_one_line(tmp_path, text, message):
    refused(write(tmp_path / "a.csv", text), f"a.csv.*{message}")
    if not text.startswith(b"PK"):
        refused(write(tmp_path / "a.csv.gz", text), f"a.csv.gz.*{message}")


def test_long_headers_are_cut(tmp_path):
    text = ",".join(f"column{number}" for number in range(100)).encode() + b"\n"
    refused(write(tmp_path / "a.csv", text + text), "'column19' and 80 more")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.jsonl"])
def test_files_that_are_none(tmp_path, name):
    refused(tmp_path / name, "no file at .*: give the path of")
    (tmp_path / name).mkdir()
    refused(tmp_path / name, "is a folder: name a file in it")


def test_bad_gzip(tmp_path):
    path = write(tmp_path / "a.csv.gz", HEADER + b"".join(b"%d,b,1\n" % n for n in range(1000)))
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, "is cut short")
    path.write_bytes(TEXT)
    refused(path, "is no gzip file: compress it, or drop .gz from its name")
    path.write_bytes(b"\x1f\x8b" + TEXT)
    refused(path, "is not readable")


def test_bad_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    refused(write(path, b""), "is empty: give a file with rows")
    refused(write(path, TEXT), "is not readable as Parquet .*: fetch or write it again")
    table = pl.DataFrame({"who": ["a"], "what": [[1]]})
    table.write_parquet(path)
    refused(path, r"has the column 'what' of type large_list<.*>: write text, numbers or dates")
    table.drop("what").write_parquet(path)
    refused(path, r"has no column 'what' \(there are: 'who'; the nearest is 'who'\)")
    table.clear().with_columns(what=pl.lit("")).write_parquet(path)
    refused(path, "has no rows")
    pl.DataFrame({"who": ["a", "b"], "what": ["c", "\0"]}).write_parquet(path)
    refused(path, r"row 2, column 'what': '\\x00' is not text")


def test_a_file_without_times_is_told_how_to_say_so(tmp_path):
    path = write(tmp_path / "a.csv", TEXT)
    refused(path, "--column timestamp=NAME, or where there are no times --column timestamp=null",
            columns={"timestamp": "at"})  # fmt: skip
    refused(
        path, "name the one that holds it with --column user_id=NAME$", columns={"user_id": "x"}
    )


def test_a_field_that_no_object_has_is_a_missing_column(tmp_path):
    path = write(tmp_path / "a.jsonl", b'{"who": "ann", "when": null}\n{"who": "bob"}\n')
    refused(path, r"has no column 'at' \(there are: 'who', 'when'\).*--column timestamp=null",
            columns={"user_id": "who", "timestamp": "at"})  # fmt: skip
    assert rows_of(path, {"x": "who", "y": "when"}) == [("ann", None), ("bob", None)]
