"""Semantic IDs made from the items of a dataset folder."""

import numpy as np
import polars as pl
import pytest

from beamwise.data.dataset import read_items
from beamwise.tokenization.item_tokenizer import QuantizedConfig
from beamwise.tokenization.quality import measure_quality
from beamwise.tokenization.quantized import tokenize_quantized

from .conftest import TITLES


def changed(config: QuantizedConfig, **settings) -> QuantizedConfig:
    return config.model_copy(update=settings)


def test_every_item_has_a_code_near_its_likes(prepare, small):
    folder = prepare()
    tokenized = tokenize_quantized(small, folder)
    assert tokenized.catalog.item_ids.to_list() == list(TITLES)
    assert tokenized.catalog.vocab_size == 2 + 2 * 8
    assert (tokenized.codebook_size, tokenized.num_code_levels) == (8, 2)
    assert tokenized.codes.shape == (24, 2)
    assert tokenized.catalog.num_leaves == 24  # as many as 64 codes can tell apart: all
    assert tokenized.tokenizer.config.embedding == small.embedding
    quality = measure_quality(tokenized.codes, tokenized.vectors, 8, num_neighbours=3)
    assert quality.neighbourhood.lengths[0].lift > 1.5


def test_the_same_seed_gives_the_same_catalog(prepare, small):
    versions = {tokenize_quantized(small, prepare(name)).catalog.version for name in "ab"}
    assert len(versions) == 1
    other = changed(small, quantizer=small.quantizer.model_copy(update={"seed": 7}))
    assert tokenize_quantized(other, prepare()).catalog.version not in versions


@pytest.mark.parametrize("collisions", ["suffix", "reassign", "share"])
def test_equal_items_are_told_apart_as_the_settings_say(prepare, small, collisions):
    titles = {f"i{n}": "blue pen" if n < 3 else f"red lamp {n}" for n in range(8)}
    config = changed(small, collisions=collisions)
    tokenized = tokenize_quantized(config, prepare(titles=titles))
    codes = [tuple(row) for row in tokenized.codes[:3].tolist()]
    assert len(set(codes)) == (1 if collisions == "share" else 3)
    assert tokenized.codes.shape[1] == (3 if collisions == "suffix" else 2)
    assert tokenized.num_code_levels == 2
    assert len({row[: 2 if collisions == "suffix" else 1] for row in codes}) == 1
    assert tokenized.facts == {"moved_items": 0 if collisions == "share" else 2}


def test_an_end_token(prepare, small):
    folder = prepare()
    plain = tokenize_quantized(small, folder)
    ended = tokenize_quantized(changed(small, end_token=True), folder)
    assert (ended.catalog.end_token, ended.catalog.num_levels) == (1, 3)
    np.testing.assert_array_equal(ended.codes, plain.codes)


def test_one_item_and_no_text(prepare, small):
    one = tokenize_quantized(small, prepare("one", {"a": "blue pen"}))
    assert one.codes.tolist() == [[0, 0]]
    with pytest.raises(ValueError, match=r"item 'b' has no text \(1 of 2 items\)"):
        tokenize_quantized(small, prepare("two", {"a": "blue pen", "b": None}))
    with pytest.raises(ValueError, match="no dataset folder"):
        tokenize_quantized(small, prepare("one") / "nothing")


def test_items_without_texts_by_who_takes_them(prepare, small):
    folder = prepare(titles=dict.fromkeys(TITLES))
    config = QuantizedConfig.model_validate(
        {"embedding": {"name": "co-occurrence", "dim": 4}, "quantizer": small.quantizer}
    )
    tokenized = tokenize_quantized(config, folder)
    assert tokenized.vectors.shape == (24, 4)
    assert tokenized.tokenizer.config.embedding.data == folder
    # users start at 0..11 and go 2 by 2, so who takes an even item never takes an odd one
    even = read_items(folder)["item_id"].str.slice(1).cast(pl.Int32).to_numpy() % 2 == 0
    taken = np.linalg.norm(tokenized.vectors, axis=1) > 0
    cosines = tokenized.vectors @ tokenized.vectors.T
    assert cosines[np.ix_(even & taken, ~even & taken)].max() < 0.3


def test_progress_names_the_work(prepare, small):
    told = []
    tokenize_quantized(small, prepare(), lambda *work: told.append(work))
    assert told[-1] == ("quantising vectors", 2, 2)
    assert ("embedding items", 24, 24) in told
