"""Random searches: one of every kind, the same from one seed, and a comparison that can fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from beamwise.decoding import full_sort
from beamwise.decoding.eligibility import ListedItems
from beamwise.decoding.runs import follows_runs
from beamwise.testing.random_search import assert_ranked, random_search


def test_every_kind_is_drawn():
    drawn = [random_search(seed, unseen=True) for seed in range(60)]
    catalogs = [search.catalog for search in drawn]
    assert {search.mask for search in drawn} == {"after", "before"}
    assert {None if s.eligible is None else s.eligible.ndim for s in drawn} == {None, 1, 2}
    assert {type(s.eligible) for s in drawn} >= {torch.Tensor, ListedItems}
    assert {catalog.retired is None for catalog in catalogs} == {True, False}
    assert {catalog.unseen is None for catalog in catalogs} == {True, False}
    assert {catalog.end_token for catalog in catalogs} == {None, 1}
    assert any(catalog.num_leaves < catalog.num_items for catalog in catalogs)
    assert any((catalog.leaf_tokens < 0).any() for catalog in catalogs)
    assert any((s.histories < 0).any() for s in drawn)


def test_one_seed_gives_one_search():
    one, again = random_search(5), random_search(5)
    assert one.catalog.version == again.catalog.version
    assert torch.equal(one.histories, again.histories)


def test_a_wrong_order_is_noticed():
    seed = next(s for s in range(100) if random_search(s).top_k > 1
                and len(random_search(s).brute_force(0).full_sort(2).leaves) == 2)  # fmt: skip
    s = random_search(seed)
    found = full_sort(s.backbone, s.histories, s.catalog, s.top_k, s.mask, s.eligible)
    expected = s.brute_force(0).full_sort(s.top_k)
    assert_ranked(found, 0, expected)
    for name in ("leaves", "leaf_log_probs"):
        wrong = getattr(found, name).clone()
        wrong[:, 0] = wrong[:, 1] - 1
        with pytest.raises(AssertionError):
            assert_ranked(replace(found, **{name: wrong}), 0, expected)


def test_titles_have_runs_of_forced_tokens_and_their_own_paths():
    drawn = [random_search(seed, titles=True) for seed in range(20)]
    assert sum(follows_runs(search.catalog) for search in drawn) > 10
    for search in drawn:
        rows = search.catalog.leaf_tokens[search.catalog.leaf_of_item.long()].tolist()
        assert [tuple(token for token in row if token >= 0) for row in rows] == search.paths
