"""Texts of items from metadata: golden, only what is asked for, one line for what is wrong."""

import json

import polars as pl
import pytest

from beamwise.data import item_metadata
from beamwise.data.item_metadata import joined, one_line, read_item_texts

TEXTS = {
    "title": lambda record: one_line(record.get("title")),
    "brand": lambda record: one_line(record.get("brand")),
}
IDS = pl.Series("item_id", ["b", "a", "c", "7"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "meta.json"


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_golden(path):
    write(
        path,
        {"asin": "a", "title": "Pens &amp;\n14&quot;", "brand": " "},
        {"asin": "other", "title": "Not asked for"},
        {"asin": "b", "title": "Desk", "related": {"asin": "other"}},
        {"asin": "b", "title": "A second Desk"},
        {"asin": 7, "title": ["no text"], "brand": "Seven"},
    )
    items = read_item_texts(path, IDS, "asin", TEXTS)
    assert items.columns == ["item_id", "title", "brand"]
    assert items.rows() == [
        ("b", "Desk", None),
        ("a", 'Pens & 14"', None),
        ("c", None, None),  # the file lacks it
        ("7", None, "Seven"),
    ]


def test_lines_that_are_not_asked_for_are_not_parsed(path):
    path.write_text('{"asin": "z", broken\n{"asin": "a", "title": "Pens"}\n')
    assert read_item_texts(path, IDS, "asin", TEXTS)["title"].to_list() == [
        None,
        "Pens",
        None,
        None,
    ]


def test_an_escaped_id_is_found(path):
    path.write_text('{"asin": "\\u0061", "title": "Pens"}\n{"as\\u0069n": "b", "title": "Desk"}\n')
    assert read_item_texts(path, IDS, "asin", TEXTS)["title"].to_list()[:2] == ["Desk", "Pens"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"title": "x"}', "row 2, column 'asin': null is not an item id: correct or drop"),
        ('{"asin": true}', "row 2, column 'asin': True is not an item id"),
        ('{"asin": ""}', "has no|row 2, column 'asin': '' is not an item id"),
        ("garbage", "has no JSON object in row 2"),
    ],
)
def test_a_bad_line_gets_one_line(path, line, message, monkeypatch):
    monkeypatch.setattr(item_metadata, "_mentions", lambda *_: lambda line: True)
    path.write_text('{"asin": "a"}\n' + line + "\n")
    with pytest.raises(ValueError, match=f"meta.json,? {message}") as caught:
        read_item_texts(path, IDS, "asin", TEXTS)
    assert "\n" not in str(caught.value)


def test_metadata_of_other_items(path):
    write(path, {"asin": "x"}, {"asin": "y"})
    with pytest.raises(ValueError, match=r"meta.json has none of the 4 items: give the metadata"):
        read_item_texts(path, IDS, "asin", TEXTS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a, b", "a, b"),
        (["a", "b &gt; c", "a", None, " "], "a, b > c"),
        ([["Toys", "Games"], ["Toys", "Puzzles"]], "Toys, Games, Puzzles"),
        ([], None),
        (None, None),
        ({"a": 1}, None),
        (5, None),
    ],
)
def test_joined(value, expected):
    assert joined(value, ", ") == expected


def test_half_a_surrogate_pair_is_replaced():
    assert one_line("a\ud800b") == "a?b"
