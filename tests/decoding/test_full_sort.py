"""Full sort and its scores: every leaf of the catalog, every prefix once, in bounded memory."""

from __future__ import annotations

import math
import sys
from dataclasses import fields

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search, full_sort, node_log_probs
from beamwise.decoding.results import SearchResult
from beamwise.testing.brute_force import BruteForce
from beamwise.testing.random_search import RandomSearch, assert_ranked, random_search
from beamwise.testing.run_choice import along_runs, step_by_step
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles

MODULE = sys.modules[full_sort.__module__]
CATALOG = Catalog.from_codes(torch.tensor([[0, 1], [1, 0], [1, 1], [0, 1]]), codebook_size=2)


def test_lists_every_item_once_and_pads():
    result = full_sort(TableBackbone(6, seed=5), torch.tensor([[0], [2]]), CATALOG, top_k=6)
    assert result.exact.all()
    for row in result.items.tolist():
        assert sorted(row[:4]) == [0, 1, 2, 3]
        assert row[4:] == [-1, -1]
    assert (result.leaves[:, 3:] == -1).all()
    assert (result.log_probs[:, :4].diff(dim=1) <= 0).all()


def test_probabilities_of_a_complete_tree_sum_to_one():
    codes = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    catalog = Catalog.from_codes(codes, codebook_size=3)
    result = full_sort(
        TableBackbone(8, seed=2), torch.tensor([[4, 1]]), catalog, top_k=9, mask="before"
    )
    total = result.leaf_log_probs.exp().sum().item()
    assert math.isclose(total, 1.0, rel_tol=1e-12)


def test_refuses_top_k_zero():
    with pytest.raises(ValueError, match="top_k must be >= 1, got 0"):
        full_sort(TableBackbone(6), torch.tensor([[0]]), CATALOG, top_k=0)


@pytest.mark.parametrize("mask", ["after", "before"])
def test_golden_steps_that_the_model_never_saw(mask):
    # Trained: 00, 01, 10. Later: two items 11 beside the one 10, and 20 below a prefix that is new.
    # From the root 5 of 6 items are below known steps; below 1 it is 1 of 3.
    trained = Catalog.from_codes(torch.tensor([[0, 0], [0, 1], [1, 0]]), codebook_size=3)
    codes = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [2, 0]])
    later = Catalog.from_codes(codes, codebook_size=3)
    histories = torch.tensor([[0, 2]])
    backbone = TableBackbone(8, seed=3)

    def scores(catalog: Catalog) -> list[float]:
        found = full_sort(backbone, histories, catalog, top_k=catalog.num_items, mask=mask)
        by_item = dict(zip(found.items[0].tolist(), found.log_probs[0].tolist(), strict=True))
        return [by_item[item] for item in range(catalog.num_items)]

    before, after = scores(trained), scores(later.seen_from(trained))
    known = math.log(5 / 6)
    assert after[:2] == pytest.approx([score + known for score in before[:2]])
    assert after[2] == pytest.approx(before[2] + known + math.log(1 / 3))
    history = backbone.encode_histories(histories, later).tokens[0].tolist()
    logits = torch.tensor(backbone.next_token_logits(history, ()), dtype=torch.float64)
    logits = logits if mask == "after" else logits[2:4]  # codes 0 and 1 are tokens 2 and 3
    one = torch.log_softmax(logits, 0)[3 if mask == "after" else 1].item()
    assert after[3] == after[4] == pytest.approx(one + known + math.log(2 / 3))
    assert after[5] == pytest.approx(math.log(1 / 6))
    if mask == "before":  # 11 is one leaf of two items
        assert sum(math.exp(score) for score in after) - math.exp(after[3]) == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), beam_width=st.integers(1, 6))
def test_exact_holds_with_steps_that_the_model_never_saw(seed, beam_width):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 3, (12, 3), generator=generator)
    later = Catalog.from_codes(codes, codebook_size=3)
    trained = Catalog.from_codes(codes[:6], codebook_size=3)
    catalog = later.seen_from(trained)
    backbone = TableBackbone(catalog.vocab_size, seed=seed % 1000)
    histories = torch.tensor([[0, 7], [3, -1]])
    beam = beam_search(backbone, histories, catalog, beam_width=beam_width)
    best = full_sort(backbone, histories, catalog, top_k=beam_width)
    assert torch.equal(beam.leaves[beam.exact], best.leaves[beam.exact])
    assert (best.leaf_log_probs[best.leaves >= 0] <= 0).all()


@pytest.mark.parametrize(("at_once", "titles"), [(None, False), (3, False), (5, True)])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1))
def test_equals_brute_force(monkeypatch, at_once, titles, seed):
    if at_once is not None:
        monkeypatch.setattr(MODULE, "PREFIXES_AT_ONCE", at_once)
    s = random_search(seed, 10 if titles else 24, titles=titles)
    found = full_sort(s.backbone, s.histories, s.catalog, s.top_k, s.mask, s.eligible)
    assert found.exact.all()
    scores = node_log_probs(s.backbone, s.histories, s.catalog, s.mask)
    assert scores.shape == (len(s.histories), s.catalog.num_nodes)
    for user in range(len(s.histories)):
        naive = s.brute_force(user)
        assert_ranked(found, user, naive.full_sort(s.top_k))
        assert_every_node(scores[user], naive, s)


def assert_every_node(scores: torch.Tensor, naive: BruteForce, search: RandomSearch) -> None:
    catalog = search.catalog
    gone = torch.zeros(catalog.num_items, dtype=torch.bool)
    gone = gone if catalog.retired is None else catalog.retired
    for node in range(catalog.num_nodes):
        leaf = int(catalog.leaf_start[node])
        path = [int(each) for each in catalog.leaf_nodes[leaf]]
        depth = 0 if node == 0 else path.index(node) + 1
        prefix = tuple(catalog.leaf_tokens[leaf].tolist()[:depth])
        below = catalog.leaf_of_item
        below = (below >= catalog.leaf_start[node]) & (below < catalog.leaf_stop[node])
        lost = node > 0 and bool(gone[below].all())
        expected = -math.inf if lost else naive.log_prob(prefix)
        assert math.isclose(scores[node].item(), expected, abs_tol=1e-9)


class Counting(TableBackbone):
    """Counts the users and the prefixes of every call, and what each cache holds."""

    def extend(self, context, nodes, cache=None):
        self.extended.append((len(nodes.tokens), int((nodes.depth >= 0).sum())))
        hidden, cache = super().extend(context, nodes, cache)
        self.held.append(cache.states.numel())
        return hidden, cache


def counted(catalog: Catalog, num_users: int, mask: str = "after") -> tuple[SearchResult, Counting]:
    backbone = Counting(catalog.vocab_size, seed=4)
    backbone.extended, backbone.held = [], []
    histories = torch.randint(
        catalog.num_items, (num_users, 4), generator=torch.Generator().manual_seed(1)
    )
    return full_sort(backbone, histories, catalog, 5, mask), backbone


def large_catalog() -> Catalog:
    codes = torch.randint(16, (3000, 3), generator=torch.Generator().manual_seed(0))
    return Catalog.from_codes(codes, 16)


@pytest.mark.parametrize(("at_once", "users"), [(2**14, 4), (600, 2), (100, 1), (20, 1)])
def test_every_prefix_is_computed_once_in_calls_of_bounded_size(monkeypatch, at_once, users):
    catalog = large_catalog()
    expected, _ = counted(catalog, 4)
    monkeypatch.setattr(MODULE, "PREFIXES_AT_ONCE", at_once)
    found, backbone = counted(catalog, 4)
    num_inner = catalog.num_nodes - catalog.num_leaves
    assert num_inner == 273
    assert sum(count for _, count in backbone.extended) == 4 * num_inner
    assert found.num_scored.tolist() == [num_inner] * 4
    assert max(number for number, _ in backbone.extended) == users
    assert max(count for _, count in backbone.extended) <= at_once
    assert max(backbone.held) <= 3 * at_once  # what a branch stands on: a part of each level
    for field in fields(SearchResult):
        torch.testing.assert_close(getattr(found, field.name), getattr(expected, field.name))


def test_a_deep_tree_is_taken_in_smaller_branches(monkeypatch):
    monkeypatch.setattr(MODULE, "PREFIXES_HELD", 64)
    tokens = torch.randint(2, 4, (200, 8), generator=torch.Generator().manual_seed(0))
    _, backbone = counted(Catalog.from_tokens(tokens), 1)
    assert max(count for _, count in backbone.extended) == 2 * 64 // 8**2


@pytest.mark.parametrize("mask", ["after", "before"])
@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1))
def test_along_forced_runs_as_step_by_step(mask, seed):
    s = random_search(seed, titles=True, unseen=True)
    asked = (s.backbone, s.histories, s.catalog)
    with along_runs():
        found = full_sort(*asked, s.top_k, mask, s.eligible)
        scores = node_log_probs(*asked, mask)
    with step_by_step():
        expected = full_sort(*asked, s.top_k, mask, s.eligible)
        assert torch.equal(scores, node_log_probs(*asked, mask))
    for field in fields(SearchResult)[:-1]:
        assert torch.equal(getattr(found, field.name), getattr(expected, field.name)), field.name
    assert (found.num_scored <= expected.num_scored).all()


def test_titles_are_taken_in_branches_of_bounded_size(monkeypatch):
    catalog = random_titles(1, num_items=200, num_words=10)
    expected, whole = counted(catalog, 1)
    monkeypatch.setattr(MODULE, "PREFIXES_AT_ONCE", 20)
    found, backbone = counted(catalog, 1)
    inner = catalog.num_nodes - catalog.num_leaves
    sizes = [count for _, count in backbone.extended]
    assert sum(sizes) == inner == sum(count for _, count in whole.extended)
    assert found.num_scored.tolist() == [inner]
    assert len(whole.extended) < len(sizes)
    assert max(sizes) < 20 + catalog.num_levels  # the last run of a part may go past its end
    for field in fields(SearchResult):
        torch.testing.assert_close(getattr(found, field.name), getattr(expected, field.name))


@pytest.mark.parametrize("mask", ["after", "before"])
def test_users_share_calls_by_what_is_computed_of_titles(monkeypatch, mask):
    catalog = random_titles(1, num_items=60, num_words=10)
    inner = catalog.num_nodes - catalog.num_leaves
    with along_runs():
        expected, whole = counted(catalog, 4, mask)
        computed = int(expected.num_scored[0])
        assert (computed == inner) if mask == "after" else (2 * computed < inner)
        monkeypatch.setattr(MODULE, "PREFIXES_AT_ONCE", 2 * computed)
        found, backbone = counted(catalog, 4, mask)
    assert max(users for users, _ in whole.extended) == 4
    assert max(users for users, _ in backbone.extended) == 2
    assert max(count for _, count in backbone.extended) <= 2 * computed
    for field in fields(SearchResult):
        torch.testing.assert_close(getattr(found, field.name), getattr(expected, field.name))


def test_a_single_title_is_computed_by_nothing():
    catalog = Catalog.from_tokens([[3, 4, 5]])
    with along_runs():
        found = full_sort(TableBackbone(6), torch.zeros(3, 1).long(), catalog, 1, "before")
    assert found.items.tolist() == [[0]] * 3
    assert found.num_scored.tolist() == [0] * 3


def test_probabilities_that_nothing_has_are_minus_infinity():
    catalog = CATALOG.with_retired(["1"])  # the only item of leaf 10, not of prefix 1
    scores = node_log_probs(TableBackbone(6), torch.tensor([[0]]), catalog)[0]
    lost = catalog.leaf_nodes[catalog.leaf_of_item[1].long(), 1]
    assert (scores == -torch.inf).nonzero()[:, 0].tolist() == [int(lost)]
    assert scores[0] == 0
    assert node_log_probs(TableBackbone(6), torch.zeros(0, 2).long(), catalog).shape == (0, 6)
