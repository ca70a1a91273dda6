"""Prefixes of titles as text: what is forced is read on, what is not known yet is an ellipsis."""

from __future__ import annotations

import polars as pl
import pytest
import torch

from beamwise.experiments.prefix_texts import PrefixTexts
from beamwise.testing.tiny_run import tiny_config
from beamwise.tokenization.byte_pairs import learn_byte_pairs
from beamwise.tokenization.title_tokenizer import TitlesConfig, TitleTokenizer
from beamwise.training.run import Run

TITLES = ["blue lamp", "blue lamps", "red 灯", "red 火", "red box"]


@pytest.fixture(scope="module")
def tokenizer() -> TitleTokenizer:
    return TitleTokenizer(TitlesConfig(), learn_byte_pairs([], 300))  # bytes alone


def run_of(tokenizer, folder) -> Run:
    items = pl.DataFrame({"item_id": list("abcde"), "title": TITLES})
    catalog = tokenizer.catalog_of(items["item_id"], items["title"])
    return Run(folder, tiny_config(folder, folder), catalog, items, torch.nn.Linear(1, 1), folder)


def test_texts(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer")
    run = run_of(tokenizer, tmp_path)
    texts = PrefixTexts.of_run(run)
    assert texts is not None
    paths = run.catalog.leaf_nodes[run.catalog.leaf_of_item.long()].tolist()

    def read(item: int, num_tokens: int) -> str:
        return texts.of(paths[item][num_tokens - 1])

    assert texts.of(0) == "…"  # after the quote, all titles differ
    assert read(0, 2) == read(1, 5) == "blue lamp…"
    assert read(0, 11) == "blue lamp"  # the closing quote decides
    assert read(1, 11) == "blue lamps"
    assert read(2, 3) == "red …"
    assert read(4, 6) == "red box"
    # 灯 and 火 begin with the bytes E7 81, which are no character, and differ in the third.
    assert "灯".encode()[:2] == "火".encode()[:2] == b"\xe7\x81"
    assert read(2, 6) == read(2, 7) == "red …"
    assert read(2, 8) == "red 灯"


def test_a_run_without_titles_has_none(tokenizer, tmp_path):
    run = run_of(tokenizer, tmp_path)
    assert PrefixTexts.of_run(run) is None
    (tmp_path / "tokenizer" / "text").mkdir(parents=True)
    with pytest.raises(ValueError, match="no tokenizer of titles at"):
        PrefixTexts.of_run(run)
