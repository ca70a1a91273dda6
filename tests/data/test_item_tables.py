"""Tables of items in every format."""

import gzip
import json
from datetime import date

import polars as pl
import pytest

from beamwise.data import item_tables
from beamwise.data.item_tables import read_items

CSV = b'brand,item_id,title,note\nNorvik, 1 ,Pens &amp;  ink,"a\nb"\n,2&amp;,"  ",\n'
ROWS = [(" 1 ", "Pens & ink", "Norvik", "a b"), ("2&amp;", None, None, None)]


def refused(path, message: str, *arguments, **settings) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_items(path, *arguments, **settings)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_csv_golden(tmp_path):  # ids stay as they are written, for interactions name them so
    (tmp_path / "items.csv.gz").write_bytes(gzip.compress(CSV))
    items = read_items(tmp_path / "items.csv.gz")
    assert items.columns == ["item_id", "title", "brand", "note"]
    assert items.rows() == ROWS
    (tmp_path / "items.tsv").write_bytes(CSV.replace(b",", b"\t"))
    assert read_items(tmp_path / "items.tsv", separator=";").rows() == ROWS
    (tmp_path / "items.csv").write_bytes(CSV.replace(b",", b"|"))
    assert read_items(tmp_path / "items.csv", separator="|").rows() == ROWS


def test_other_names(tmp_path):
    (tmp_path / "items.csv").write_bytes(b"name,asin,x\nPen,a,1\n")
    columns = {"item_id": "asin", "title": "name"}
    items = read_items(tmp_path / "items.csv", columns)
    assert (items.columns, items.rows()) == (["item_id", "title", "x"], [("a", "Pen", "1")])
    refused(tmp_path / "items.csv", "has no column 'item_id'.*: rename the one that holds it to it")
    refused(tmp_path / "items.csv", "has no column 'y'.*: say title", columns | {"title": "y"},
            fix={"title": "say title"})  # fmt: skip
    (tmp_path / "items.csv").write_bytes(b"name,asin,title\nPen,a,1\n")
    refused(tmp_path / "items.csv", "has a column 'title' besides 'name'", columns)


def test_parquet_golden(tmp_path):
    table = pl.DataFrame(
        {
            "item_id": [7, 8],
            "title": ["Pen", None],
            "tags": [["a", "b &gt; c"], []],
            "price": [1.5, None],
            "size": [{"cm": 3}, None],
            "since": [date(2020, 1, 2), None],
        }
    )
    table.write_parquet(tmp_path / "items.parquet")
    items = read_items(tmp_path / "items.parquet")
    assert items.schema == dict.fromkeys(table.columns, pl.String)
    expected = ("7", "Pen", "a, b > c", "1.5", '{"cm": 3}', "2020-01-02")
    assert items.rows() == [expected, ("8", *[None] * 5)]


def test_json_golden(tmp_path, monkeypatch):
    monkeypatch.setattr(item_tables, "RECORDS_AT_ONCE", 1)
    records = [
        {"item_id": "a ", "title": "Pen &amp; ink", "tags": ["x", "y"]},
        {"item_id": 5, "price": 2.5},
    ]
    text = "\n".join(json.dumps(record) for record in records)
    (tmp_path / "items.jsonl").write_text(text)
    items = read_items(tmp_path / "items.jsonl")
    assert items.columns == ["item_id", "title", "tags", "price"]
    assert items.rows() == [("a ", "Pen & ink", "x, y", None), ("5", None, None, "2.5")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,A", ",B"], "row 2, column 'item_id': (''|null) is not an item id: give it an id"),
        (["a,A", "  ,B"], "row 2, column 'item_id': '  ' is not an item id"),
        (
            ["a,A", "b,B", "a,C"],
            r"row 3, column 'item_id': 'a' is not a new id \(row 1 has it\): k",
        ),
    ],
)
def test_bad_ids(tmp_path, rows, message):
    fields = [row.split(",") for row in rows]
    (tmp_path / "a.csv").write_text("\n".join(["item_id,title", *rows]))
    refused(tmp_path / "a.csv", message)
    schema = ["item_id", "title"]
    pl.DataFrame(fields, schema=schema, orient="row").write_parquet(tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", message)
    records = [dict(zip(schema, row, strict=True)) for row in fields]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    refused(tmp_path / "a.jsonl", message)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "item_id,title,x,x\na,A,1,2\n", "has 2 columns of the name 'x'"),
        ("a.csv", "item_id\na\n", "has no column 'title'"),
        ("a.csv", "item_id,title\n", "has a header and no rows"),
        ("a.jsonl", '{"title": "A"}', "has no column 'item_id'"),
        ("a.jsonl", '{"item_id": "a"}', "has no column 'title'"),
        ("a.jsonl", '{"item_id": "a", "title": "\\ud800"}', r"row 1, column .*title.* is not Unic"),
        ("a.jsonl", '{"item_id": "a", "\\ud800": "A"}', r"row 1, column .*ud800.* is not Unicode"),
        ("a.jsonl", '{"item_id": "a"}\n{"item_id": null}', "row 2, column 'item_id': null is not"),
        ("a.jsonl", '{"item_id": "a"}\n{"title": "b"}', "row 2, column 'item_id': null is not an"),
        ("a.jsonl", "[1]", r"holds a JSON array: write one object a line \(JSON lines\)"),
        ("a.jsonl", "1", "has no JSON object in row 1"),
        (
            "a.csv",
            "item_id;title\na;A\n",
            "has one column, 'item_id;title': separate its fields by",
        ),
        ("a.csv", "item_id\ttitle\na\tA\n", "has one column, .*: end its name with .tsv"),
    ],
)
def test_bad_files(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    refused(tmp_path / name, message)


def test_without_titles(tmp_path):
    (tmp_path / "items.csv").write_bytes(b"name,asin,x\nPen,a,1\n")
    items = read_items(tmp_path / "items.csv", {"item_id": "asin"})
    assert items.schema == dict.fromkeys(["item_id", "title", "name", "x"], pl.String)
    assert items.rows() == [("a", None, "Pen", "1")]
    (tmp_path / "items.csv").write_bytes(b"title,asin\nPen,a\n")
    assert read_items(tmp_path / "items.csv", {"item_id": "asin"}).rows() == [("a", None)]
