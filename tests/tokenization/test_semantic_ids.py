"""The catalog of published semantic IDs."""

import itertools

import polars as pl
import pytest

from beamwise.data.dataset import Dataset
from beamwise.data.interactions import Interactions
from beamwise.data.sources import SemanticIdJsonConfig, read_source
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids


def dataset(codes: dict[str, list[int | None]] | None, items: str = "xyz") -> Dataset:
    interactions = pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "timestamp": [0]})
    table = pl.DataFrame({"item_id": list(items), "title": list(items)})
    if codes is None:
        return Dataset(Interactions.from_table(interactions), table)
    series = pl.Series("codes", list(codes.values()), dtype=pl.List(pl.Int32))
    ids = pl.DataFrame({"item_id": list(codes)}).with_columns(series)
    return Dataset(Interactions.from_table(interactions), table, ids)


CODES: dict[str, list[int | None]] = {"z": [3, 0], "x": [0, 4], "y": [3, 0]}


def test_golden():  # the highest code is 4, so the codebook has 8; level 2 begins at token 2 + 8
    catalog = catalog_from_semantic_ids(dataset(CODES))
    assert catalog.item_ids.to_list() == ["x", "y", "z"]
    assert catalog.leaf_tokens.tolist() == [[2, 14], [5, 10]]
    assert catalog.leaf_of_item.tolist() == [0, 1, 1]
    assert (catalog.vocab_size, catalog.end_token) == (18, None)


def test_end_token():
    catalog = catalog_from_semantic_ids(dataset(CODES), end_token=True)
    assert catalog.leaf_tokens.tolist() == [[2, 14, 1], [5, 10, 1]]


@pytest.mark.parametrize(
    ("highest", "size"), [(0, 1), (1, 2), (2, 4), (3, 4), (4, 8), (255, 256), (256, 512)]
)
def test_codebook_is_the_smallest_power_of_two(highest, size):
    catalog = catalog_from_semantic_ids(dataset({"x": [highest]}, items="x"))
    assert catalog.vocab_size == 2 + size


def test_codebook_size_is_respected_and_checked():
    assert catalog_from_semantic_ids(dataset(CODES), codebook_size=5).vocab_size == 12
    with pytest.raises(ValueError, match=r"code 4 is outside 0..3: raise codebook_size"):
        catalog_from_semantic_ids(dataset(CODES), codebook_size=4)


@pytest.mark.parametrize(
    ("name", "nodes_per_level"),
    [("office", (256, 1_376, 1_780, 2_415)), ("beauty", (256, 6_983, 10_743, 12_089))],
)
def test_published_prefixes(data_folder, name, nodes_per_level):
    source = read_source(SemanticIdJsonConfig(folder=data_folder / name))
    catalog = catalog_from_semantic_ids(source)
    starts = catalog.level_start
    assert tuple(b - a for a, b in itertools.pairwise(starts[1:])) == nodes_per_level
    assert catalog.vocab_size == 2 + 4 * 256
    assert catalog.item_ids.equals(source.items["item_id"])


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (None, "no semantic IDs: prepare it from a source that has them"),
        ({"x": [0], "y": [1]}, "item 'z' has no semantic ID"),
        ({"x": [0], "y": [1], "z": []}, "item 'z' has no semantic ID"),
        ({"x": [0], "y": [1, 2], "z": [1]}, "item 'y' has 2 codes, item 'x' has 1"),
        ({"x": [0, 1], "y": [1, 2], "z": [1, None]}, "item 'z' has a null code"),
        ({"x": [0], "y": [1], "z": [-1]}, "code -1 is outside"),
    ],
)
def test_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        catalog_from_semantic_ids(dataset(codes))
