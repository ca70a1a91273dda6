"""A later catalog takes a run's place only where it speaks the same tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from beamwise.catalog import Catalog
from beamwise.training.later_catalog import check_same_tokens, read_later_catalog

CODES = [[0, 1], [1, 0], [1, 1]]
FOLDER = Path("later")


def catalog(codes=CODES, ids="abc", size=4, end_token=False) -> Catalog:
    return Catalog.from_codes(torch_codes(codes), size, list(ids), end_token)


def torch_codes(codes):
    return pl.Series(codes, dtype=pl.Array(pl.Int32, len(codes[0]))).to_numpy()


def test_more_items_fewer_and_another_order_are_the_same_tokens():
    later = catalog([[1, 1], [3, 3], [0, 1]], "cxa")
    check_same_tokens(later, catalog(), FOLDER)
    check_same_tokens(catalog().with_retired(["a"]), catalog(), FOLDER)
    with pytest.raises(ValueError, match="item 'c' has other tokens"):  # one token away
        check_same_tokens(catalog([[1, 2], [3, 3], [0, 1]], "cxa"), catalog(), FOLDER)


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (catalog(size=5), "of later has vocab_size=12, the run was trained with 10"),
        (catalog([[0], [1], [2]], size=8), "has num_levels=1, the run was trained with 2"),
        (catalog(ids="xyz"), "of later has no item of the run's catalog"),
        (catalog([[0, 1], [2, 0], [2, 1]]), r"item 'b' has other tokens .* \(2 of 3 items have\)"),
    ],
)
def test_other_tokens_are_refused_with_the_fix(later, message):
    with pytest.raises(ValueError, match=message) as error:
        check_same_tokens(later, catalog(), FOLDER)
    assert "beamwise tokenize later --like RUN_DATA" in str(error.value)


def test_an_end_token_is_another_catalog():
    # with codebooks of 4 and one level, an end token makes a second level of the same vocabulary
    trained = Catalog.from_tokens([[2], [3]], item_ids=["a", "b"], vocab_size=6)
    later = Catalog.from_tokens([[2], [3]], [1, 1], ["a", "b"], vocab_size=6)
    with pytest.raises(ValueError, match="num_levels=2"):
        check_same_tokens(later, trained, FOLDER)


def test_closed_items_may_be_longer_or_shorter_than_all_before():
    ids = ["a", "b"]
    trained = Catalog.from_tokens([[2, 3], [3, 0]], [2, 1], ids, vocab_size=6)
    longer = Catalog.from_tokens([[3, 0, 0], [2, 3, 0], [4, 4, 4]], [1, 2, 3], ["b", "a", "c"])
    check_same_tokens(replace(longer, vocab_size=6), trained, FOLDER)
    shorter = Catalog.from_tokens([[3]], [1], ["b"], vocab_size=6)
    check_same_tokens(shorter, trained, FOLDER)
    other = Catalog.from_tokens([[3, 3, 3], [2, 3, 0]], [3, 2], ["b", "a"], vocab_size=6)
    with pytest.raises(ValueError, match="item 'b' has other tokens"):
        check_same_tokens(other, trained, FOLDER)


def test_items_come_in_the_order_of_the_catalog(tmp_path):
    later = catalog([[1, 1], [3, 3], [0, 1]], "cxa")
    later.save(tmp_path / "catalog")
    titles = pl.DataFrame({"item_id": list("abcx"), "title": ["A", "B", "C", None]})
    titles.write_parquet(tmp_path / "items.parquet")
    read, items = read_later_catalog(tmp_path, catalog())
    assert read.version == later.version
    assert items["title"].to_list() == ["C", None, "A"]
