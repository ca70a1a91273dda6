"""One text an item: golden, columns, and one line for an item without any."""

import numpy as np
import polars as pl
import pytest

from beamwise.tokenization.item_texts import check_missing, has_texts, item_texts

ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "brand": ["Norvik", None, "  "],
        "title": ["Blue pen", " Desk\u00a0", None],
        "price": [1.5, 2.0, 3.0],
        "description": ["Writes", "", "A lamp"],
    },
    schema_overrides={"title": pl.String},
)


def test_golden():  # the title first, then the table's order; no number, nothing empty
    texts = item_texts(ITEMS)
    assert texts.to_list() == ["Blue pen\nNorvik\nWrites", "Desk", "A lamp"]


def test_columns_chosen_in_their_order():
    texts = item_texts(ITEMS[:2], columns=("description", "title"))
    assert texts.to_list() == ["Writes\nBlue pen", "Desk"]


def test_every_column_is_cut_on_its_own():
    assert item_texts(ITEMS, max_chars=3).to_list() == ["Blu\nNor\nWri", "Des", "A l"]


def test_an_item_without_text_is_refused_or_blank():
    items = ITEMS.select("item_id", "title", "brand")
    with pytest.raises(ValueError, match=r"^item 'c' has no text \(1 of 3 items\): ") as caught:
        item_texts(items)
    assert "give it a title, or --set embedding.missing=blank" in str(caught.value)
    assert "\n" not in str(caught.value)
    texts = item_texts(items, missing="blank")
    assert texts.to_list() == ["Blue pen\nNorvik", "Desk", ""]


def test_a_table_with_titles_only_all_null():
    items = pl.DataFrame({"item_id": ["a"], "title": pl.Series([None], dtype=pl.String)})
    assert item_texts(items, missing="blank").to_list() == [""]


def test_no_items():
    assert item_texts(ITEMS[:0]).to_list() == []
    assert not has_texts(ITEMS[:0])


@pytest.mark.parametrize(
    ("titles", "brands", "expected"),
    [
        ([None, None], [None, None], False),
        ([None, " \u00a0"], ["", None], False),
        ([None, "Pen"], [None, None], True),
        ([None, None], ["Norvik", None], True),
    ],
)
def test_any_column_of_text_of_any_item_is_a_text(titles, brands, expected):
    schema = {"item_id": pl.String, "title": pl.String, "brand": pl.String, "price": pl.Int64}
    columns = {"item_id": ["a", "b"], "title": titles, "brand": brands, "price": [1, 2]}
    assert has_texts(pl.DataFrame(columns, schema=schema)) == expected


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("titel", "no column of text 'titel': did you mean 'title'"),
        ("zzz", "no column of text 'zzz': there are title, brand, description"),
        ("item_id", "no column of text 'item_id'"),
        ("price", "column 'price' of the items is Float64, not text: leave it out of embedding."),
    ],
)
def test_a_column_that_holds_no_text(column, message):
    with pytest.raises(ValueError, match=message):
        item_texts(ITEMS, columns=("title", column))


def test_check_missing_counts_and_names_the_first():
    ids = ITEMS["item_id"]
    check_missing(ids, np.zeros(3, dtype=bool), "refuse", "is odd")
    check_missing(ids, np.ones(3, dtype=bool), "blank", "is odd")
    with pytest.raises(ValueError, match=r"item 'b' is odd \(2 of 3 items\)"):
        check_missing(ids, np.array([False, True, True]), "refuse", "is odd")
