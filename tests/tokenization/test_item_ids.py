"""One token an item."""

from __future__ import annotations

import polars as pl
import pytest

from beamwise.catalog import Catalog
from beamwise.data.dataset import read_items
from beamwise.tokenization import tokenize
from beamwise.tokenization.item_ids import ItemIdsConfig, catalog_of_item_ids, tokenize_item_ids
from beamwise.tokenization.later_items import change_items, tokenize_like

from .conftest import items_of


def test_golden() -> None:  # tokens 0 and 1 are special, so item i has token 2 + i
    catalog = catalog_of_item_ids(pl.Series("item_id", ["b", "a", "c"]))
    assert catalog.item_ids.to_list() == ["b", "a", "c"]
    assert catalog.leaf_tokens.tolist() == [[2], [3], [4]]
    assert catalog.leaf_of_item.tolist() == [0, 1, 2]
    assert (catalog.num_levels, catalog.vocab_size, catalog.end_token) == (1, 5, None)


def test_one_item() -> None:
    catalog = catalog_of_item_ids(pl.Series("item_id", ["only"]))
    assert (catalog.leaf_tokens.tolist(), catalog.vocab_size) == ([[2]], 3)


def test_a_folder_keeps_the_order_of_its_items(prepare) -> None:
    folder = prepare()
    tokenized = tokenize(folder, ItemIdsConfig())
    assert tokenized.codes[:, 0].tolist() == list(range(24))
    assert (tokenized.codebook_size, tokenized.num_code_levels) == (24, 1)
    assert (tokenized.vectors, tokenized.tokenizer) == (None, None)
    saved = Catalog.load(folder / "catalog")
    assert saved.version == tokenized.catalog.version
    assert saved.item_ids.equals(read_items(folder)["item_id"])
    assert not (folder / "tokenizer").exists()


def test_texts_are_not_needed_and_change_nothing(prepare) -> None:
    texts = tokenize_item_ids(ItemIdsConfig(), prepare("texts")).catalog
    titles = {f"i{n:02}": None for n in range(24)}
    blank = tokenize_item_ids(ItemIdsConfig(), prepare("blank", titles)).catalog
    assert blank.version == texts.version


def test_later_items_are_refused_and_retiring_works(prepare) -> None:
    folder = prepare()
    tokenize(folder, ItemIdsConfig())
    with pytest.raises(ValueError, match=r"no fitted tokenizer at .* can be extended to new items"):
        change_items(folder, items_of({"new": "blue pen"}))
    with pytest.raises(ValueError, match="no fitted tokenizer"):
        tokenize_like(prepare("later"), folder)
    assert len(read_items(folder)) == 24
    retired = change_items(folder, retired=["i03"])
    assert retired.retired_ids.to_list() == ["i03"]
    assert tokenize(folder, ItemIdsConfig()).catalog.retired_ids.to_list() == ["i03"]
