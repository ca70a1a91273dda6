"""Catalogs of published semantic IDs."""

import json
import shutil

import polars as pl
import pytest

from beamwise.catalog import Catalog


@pytest.fixture
def data(tiny, tmp_path):
    folder = shutil.copytree(tiny / "data", tmp_path / "data")
    shutil.rmtree(folder / "catalog")
    return folder


def test_the_catalog_is_written_and_described(beamwise, data):
    facts = json.loads(beamwise("tokenize", data, "--json").out)
    catalog = Catalog.load(data / "catalog")
    assert facts["version"] == catalog.version
    assert (facts["items"], facts["distinct_ids"]) == (200, catalog.num_leaves)
    assert facts["colliding_items"] == 200 - catalog.num_leaves
    assert facts["prefixes_per_level"][-1] == catalog.num_leaves
    assert len(facts["prefixes_per_level"]) == facts["levels"] == 4
    assert facts["prefixes_per_level"][0] == len(catalog.leaf_tokens[:, 0].unique())


def test_an_end_token_and_a_codebook_size(beamwise, data):
    outcome = beamwise("tokenize", data, "--end-token", "--codebook-size", 300)
    assert outcome.status == 0
    assert "beamwise train" in outcome.out
    catalog = Catalog.load(data / "catalog")
    assert (catalog.num_levels, catalog.end_token, catalog.vocab_size) == (5, 1, 2 + 4 * 300)


def test_bad_input_is_named_and_no_catalog_is_written(beamwise, data, tmp_path):
    assert "no dataset folder" in beamwise("tokenize", tmp_path / "no").complaint
    assert "outside 0..0" in beamwise("tokenize", data, "--codebook-size", 1).complaint
    path = data / "semantic_ids.parquet"
    pl.read_parquet(path).head(100).write_parquet(path)
    assert "'item-0100' has no semantic ID" in beamwise("tokenize", data).complaint
    path.unlink()
    chosen = ("tokenize", data, "--method", "semantic-ids")
    assert "has no semantic IDs" in beamwise(*chosen).complaint
    (data / "interactions.parquet").write_bytes(b"PAR1")
    assert "not readable as Parquet" in beamwise("tokenize", data).complaint
    assert not (data / "catalog").exists()
