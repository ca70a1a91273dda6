"""The catalog of published semantic IDs."""

import itertools

import numpy as np
import polars as pl
import pytest

from beamwise.data.dataset import Dataset
from beamwise.data.interactions import Interactions
from beamwise.data.sources import SemanticIdJsonConfig, read_source
from beamwise.tokenization.semantic_ids import (
    SemanticIdsConfig,
    catalog_from_semantic_ids,
    tokenize_semantic_ids,
)


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
    with pytest.raises(ValueError, match=r"code 4 of item 'x', level 2, is outside 0..3: raise"):
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
        (None, "no semantic IDs: give them with --codes, or make them with --method rq-kmeans"),
        ({"x": [0], "y": [1]}, "item 'z' has no semantic ID"),
        ({"x": [0], "y": [1], "z": []}, "item 'z' has no semantic ID"),
        ({"x": [0], "y": [1, 2], "z": [1]}, "item 'y' has 2 codes, item 'x' has 1"),
        ({"x": [0, 1], "y": [1, 2], "z": [1, None]}, "item 'z' has a null code"),
        ({"x": [0], "y": [1], "z": [-1]}, "code -1 of item 'z', level 1, is outside"),
    ],
)
def test_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        catalog_from_semantic_ids(dataset(codes))


ROWS = [[n // 6, n % 6] for n in range(24)]


def test_published_codes_are_judged_by_the_texts(prepare):
    told = []
    folder = prepare(codes=ROWS)
    tokenized = tokenize_semantic_ids(SemanticIdsConfig(), folder, lambda *work: told.append(work))
    assert tokenized.codes.tolist() == ROWS
    assert (tokenized.codebook_size, tokenized.num_code_levels) == (8, 2)
    assert tokenized.catalog.vocab_size == 2 + 2 * 8
    assert (tokenized.tokenizer, tokenized.facts) == (None, {})
    vectors = tokenized.vectors
    # i00 and i04 are both blue, i00 and i05 share no word
    assert vectors[0] @ vectors[4] > 0.3
    assert abs(vectors[0] @ vectors[5]) < 1e-5
    assert {work for work, _, _ in told} == {"embedding items"}
    assert len(list((folder / "embeddings").iterdir())) == 1


def test_an_end_token_is_no_level_of_codes(prepare):
    config = SemanticIdsConfig(codebook_size=6, end_token=True)
    tokenized = tokenize_semantic_ids(config, prepare(codes=ROWS))
    assert (tokenized.codebook_size, tokenized.num_code_levels) == (6, 2)
    assert (tokenized.catalog.num_levels, tokenized.catalog.end_token) == (3, 1)
    assert tokenized.codes.tolist() == ROWS


def test_a_file_takes_the_place_of_published_codes(prepare, tmp_path):
    folder = prepare(codes=ROWS)
    np.save(tmp_path / "mine.npy", np.array(ROWS)[::-1])
    tokenized = tokenize_semantic_ids(SemanticIdsConfig(file=tmp_path / "mine.npy"), folder)
    assert tokenized.codes.tolist() == ROWS[::-1]
    np.save(tmp_path / "mine.npy", np.array(ROWS)[1:])
    with pytest.raises(ValueError, match=r"mine.npy holds an array of shape \(23, 2\)"):
        tokenize_semantic_ids(SemanticIdsConfig(file=tmp_path / "mine.npy"), folder)


def test_without_texts_only_vectors_of_another_kind_judge(prepare):
    folder = prepare(titles={f"i{n:02}": None for n in range(24)}, codes=ROWS)
    assert tokenize_semantic_ids(SemanticIdsConfig(), folder).vectors is None
    counted = SemanticIdsConfig.model_validate({"embedding": {"name": "co-occurrence", "dim": 4}})
    assert tokenize_semantic_ids(counted, folder).vectors.shape == (24, 4)
