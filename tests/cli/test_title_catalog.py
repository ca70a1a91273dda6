"""Titles become tokens, later ones too, and what is told of them leads on to training."""

import json
import shutil

import polars as pl
import pytest

from beamwise.catalog import Catalog
from beamwise.data.published_targets import TARGET_COLUMNS


@pytest.fixture
def data(tiny, tmp_path):
    """The shop without a catalog."""
    folder = shutil.copytree(tiny / "data", tmp_path / "data")
    shutil.rmtree(folder / "catalog")
    return folder


def write_csv(path, header, row):
    path.write_text(f"{header}\n{row}\n")
    return path


def test_titles(beamwise, data):
    for wrong, told in (
        (("--end-token",), "--method titles gives each title its end token: leave out --codes"),
        (("--set", "model=./absent"), "model './absent' is no folder"),
    ):
        assert told in beamwise("tokenize", data, "--method", "titles", *wrong).complaint
        assert not (data / "catalog").exists()
    small = ("--method", "titles", "--set", "vocab_size=300")
    facts = json.loads(beamwise("tokenize", data, *small, "--json").out)
    catalog = Catalog.load(data / "catalog")
    assert facts["version"] == catalog.version
    assert facts["quality"]["num_items"] == 200
    assert json.loads((data / "quality" / "report.json").read_text())["catalog"] == catalog.version
    outcome = beamwise("tokenize", data, *small)
    assert "items that share a title" in outcome.out
    assert "--set backbone.name=pretrained --set backbone.model=tiny --out" in outcome.out
    rows = [("user-0000", 1, "test")]
    pl.DataFrame(rows, schema=TARGET_COLUMNS, orient="row").write_parquet(data / "targets.parquet")
    assert "--set data.split.name=published" in beamwise("tokenize", data, *small).out
    shared = catalog.num_items - catalog.num_leaves
    assert ("items share a title with another" in outcome.err) == (shared > 0)


def test_titles_that_come_later(beamwise, data, tmp_path):
    assert beamwise("tokenize", data, "--method", "titles").status == 0
    new = write_csv(tmp_path / "new.csv", "item_id,title", "n,A mug of some kind")
    gone = write_csv(tmp_path / "gone.csv", "item_id", "item-0003")
    outcome = beamwise("tokenize", data, "--add", new, "--retire", gone)
    assert outcome.status == 0, outcome.err
    assert "wrote the report on the titles" in outcome.err
    assert "tokens of a title" in outcome.out
    catalog = Catalog.load(data / "catalog")
    assert (catalog.num_items, catalog.retired_ids.to_list()) == (201, ["item-0003"])
    facts = json.loads(beamwise("tokenize", data, "--restore", gone, "--json").out)
    report = json.loads((data / "quality" / "report.json").read_text())
    assert report["catalog"] == facts["version"]
    facts = json.loads(beamwise("tokenize", data, "--like", data, "--json").out)
    assert facts["quality"]["num_items"] == 201
    blank = write_csv(tmp_path / "blank.csv", "item_id,title", "m,")
    complaint = beamwise("tokenize", data, "--add", blank).complaint
    assert "item 'm' has no title" in complaint
    complaint = beamwise("tokenize", data, "--add", blank, "--set", "answer=x").complaint
    assert "titles have no setting that may change for later items" in complaint
