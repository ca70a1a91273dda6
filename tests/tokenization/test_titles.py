"""Tokenizer `titles`: a dataset folder's titles, by a model's tokenizer or their own."""

import polars as pl
import pytest

from beamwise.catalog import Catalog
from beamwise.data.dataset import read_items
from beamwise.tokenization import TitlesConfig, tokenize
from beamwise.tokenization.title_tokenizer import TitleTokenizer
from beamwise.tokenization.titles import fit_title_tokenizer, tokenize_titles

from .conftest import contents


def test_a_folder_gets_catalog_and_tokenizer(prepare):
    folder = prepare()
    tokenized = tokenize(folder, TitlesConfig())
    catalog = Catalog.load(folder / "catalog")
    assert catalog.version == tokenized.catalog.version
    items = read_items(folder)
    assert catalog.item_ids.to_list() == items["item_id"].to_list()
    loaded = TitleTokenizer.load(folder / "tokenizer")
    assert loaded.titles_of(catalog) == items["title"].to_list()
    assert (folder / "tokenizer" / "versions.jsonl").read_text().count("\n") == 1


def test_the_same_titles_give_the_same_files(prepare):
    first, second = prepare("a"), prepare("b")
    for folder in (first, second):
        tokenize(folder, TitlesConfig(vocab_size=270))
    assert contents(first) == contents(second)


def test_tiny_has_the_asked_size_and_knows_nothing_but_the_titles(prepare):
    titles = pl.Series(["blue lamp", None, "blue lamps"])
    small, large = (fit_title_tokenizer(TitlesConfig(vocab_size=n), titles) for n in (262, 4096))
    assert small.vocab_size == 262 < large.vocab_size < 300
    assert len(large.encode_answers(["blue lamp"])[0]) == 4


def test_another_model_is_opened_where_it_lies(prepare, tmp_path):
    folder = prepare()
    theirs = fit_title_tokenizer(TitlesConfig(vocab_size=280), pl.Series(["a lamp"] * 9))
    theirs.text.save_pretrained(tmp_path / "model")
    tokenized = tokenize_titles(TitlesConfig(model=str(tmp_path / "model")), folder)
    assert tokenized.catalog.vocab_size == theirs.vocab_size
    assert tokenized.tokenizer.titles_of(tokenized.catalog) == read_items(folder)["title"].to_list()


def test_refusals_name_the_folder_and_change_nothing(prepare):
    folder = prepare(titles={f"i{n}": None if n == 3 else f"t{n}" for n in range(24)})
    before = contents(folder)
    with pytest.raises(ValueError, match=r"data: item 'i3' has no title \(1 of 24 items\)"):
        tokenize(folder, TitlesConfig())
    with pytest.raises(ValueError, match="vocab_size must be >= 259"):
        tokenize(folder, TitlesConfig(vocab_size=3))
    with pytest.raises(ValueError, match=r"model './absent' is no folder"):
        tokenize(folder, TitlesConfig(model="./absent"))
    assert contents(folder) == before
