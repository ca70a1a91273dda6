"""Items to add are read with or without titles, and what does not fit is told."""

import json
from pathlib import Path

import polars as pl
import pytest

from beamwise.tokenization.items_to_add import column_notes, read_items_to_add

from .conftest import items_of

TITLED, UNTITLED = items_of({"a": "pen"}), items_of({"a": None})


@pytest.mark.parametrize("name", ["new.csv", "new.tsv", "new.jsonl", "new.parquet"])
def test_a_title_is_needed_only_where_items_have_one(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".parquet":
        pl.DataFrame({"item_id": ["n"]}).write_parquet(path)
    else:
        path.write_text(json.dumps({"item_id": "n"}) if path.suffix == ".jsonl" else "item_id\nn\n")
    assert read_items_to_add(path, UNTITLED).rows() == [("n", None)]
    with pytest.raises(ValueError, match="title"):
        read_items_to_add(path, TITLED)


@pytest.mark.parametrize("name", ["new.csv", "new.jsonl"])
def test_a_title_is_read_where_there_is_one(tmp_path, name):
    text = {"new.csv": "title,item_id\nMug,n\n", "new.jsonl": '{"item_id": "n", "title": "Mug"}'}
    (tmp_path / name).write_text(text[name])
    for items in (TITLED, UNTITLED):
        added = read_items_to_add(tmp_path / name, items)
        assert added.select("item_id", "title").rows() == [("n", "Mug")]


def test_columns_of_one_side_are_told():
    items = TITLED.with_columns(brand=pl.lit("Norvik"), price=1.5, empty=pl.lit(None, pl.String))
    added = items_of({"n": "pen"}).with_columns(colour=pl.lit("red"), size=pl.lit("L"))
    left_out, lacking = column_notes(Path("new.csv"), added, items)
    assert left_out.startswith("new.csv: columns 'colour', 'size' left out")
    assert lacking.startswith("new.csv has no column 'brand', as the items of the dataset have")
    assert column_notes(Path("new.csv"), TITLED, TITLED) == []
    (lacking,) = column_notes(Path("new.csv"), added.select("item_id", "title"), items)
    assert "'price'" not in lacking  # no text is made of it
