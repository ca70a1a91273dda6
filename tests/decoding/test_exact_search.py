"""Exact search: what the full sort gives, proved, at a part of its price; else it says so."""

from __future__ import annotations

import sys
from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding import SearchResult, beam_search, branches, exact_search, full_sort
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.frontier import Frontier
from beamwise.testing.random_search import assert_ranked, random_search
from beamwise.testing.run_choice import step_by_step
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles

MODULE = sys.modules[exact_search.__module__]
WIDTHS, CHUNKS = st.sampled_from([None, 1, 2, 5]), st.sampled_from([1, 3, None])


def assert_same_where_exact(found: SearchResult, true: SearchResult) -> None:
    """All but the work is the same, for the users of whom it is claimed."""
    for field in fields(SearchResult):
        if field.name not in ("num_scored", "exact"):
            values = getattr(true, field.name)[found.exact]
            mine = getattr(found, field.name)[found.exact]
            # where not even the root could be computed, nothing is in the backbone's precision
            torch.testing.assert_close(mine, values, check_dtype=False)


@pytest.mark.parametrize("titles", [False, True])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), beam_width=WIDTHS, chunk_size=CHUNKS)
def test_equals_brute_force_and_the_full_sort(titles, seed, beam_width, chunk_size):
    s = random_search(seed, 10 if titles else 24, titles=titles)
    asked = (s.backbone, s.histories, s.catalog, s.top_k, s.mask, s.eligible)
    found = exact_search(*asked, beam_width=beam_width, chunk_size=chunk_size)
    assert found.exact.all()
    for user in range(len(s.histories)):
        assert_ranked(found, user, s.brute_force(user).full_sort(s.top_k))
    every = full_sort(*asked)
    assert_same_where_exact(found, every)
    assert (found.num_scored <= every.num_scored).all()


@pytest.mark.parametrize("titles", [False, True])
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    beam_width=WIDTHS,
    chunk_size=CHUNKS,
    max_prefixes=st.integers(1, 60),
    unseen=st.booleans(),
)
def test_what_does_not_fit_says_so(titles, seed, beam_width, chunk_size, max_prefixes, unseen):
    s = random_search(seed, unseen=unseen, titles=titles)
    asked = (s.backbone, s.histories, s.catalog, s.top_k, s.mask, s.eligible)
    found = exact_search(
        *asked, beam_width=beam_width, chunk_size=chunk_size, max_prefixes=max_prefixes
    )
    every = full_sort(*asked)
    assert (found.num_scored <= max_prefixes).all()
    assert_same_where_exact(found, every)
    fits = every.num_scored <= max_prefixes  # the whole tree does
    assert found.exact[fits].all()


def test_a_beam_that_loses_the_best_item_goes_on_where_it_was_cut():
    # P(0) = .6, P(1) = .4; below 0 four items of a quarter each, below 1 one item of 1: a beam of
    # one prefix returns 00 with .15, and 10 with .4 is best. The k-th found, .15, leaves 1 open.
    catalog = Catalog.from_tokens([[2, 4], [2, 5], [2, 6], [2, 7], [3, 4]])
    rows = torch.full((8, 8), -1e4, dtype=torch.float64)
    rows[0, 2:4] = torch.tensor([0.6, 0.4]).log()
    rows[2, 4:8] = 0.0
    rows[3, 4] = 0.0

    class Fixed(TableBackbone):
        def extend(self, context, nodes, cache=None):
            _, cache = super().extend(context, nodes, cache)
            return nodes.tokens.clamp(min=0)[..., None].double(), cache

        def logits(self, hidden, tokens=None):
            logits = rows[hidden[..., 0].long()]
            return logits if tokens is None else logits[..., tokens]

    asked = (Fixed(8), torch.tensor([[0]]), catalog)
    beam = beam_search(*asked, beam_width=1)
    assert (beam.leaves.tolist(), beam.exact.tolist()) == ([[0]], [False])
    assert beam.num_scored.tolist() == [2]
    found = exact_search(*asked, top_k=1, beam_width=1)
    assert (found.leaves.tolist(), found.exact.tolist()) == ([[4]], [True])
    assert found.num_scored.tolist() == [3]
    short = exact_search(*asked, top_k=1, beam_width=1, max_prefixes=2)
    assert (short.leaves.tolist(), short.exact.tolist()) == ([[0]], [False])


class Counting(TableBackbone):
    """Counts users and prefixes of every call."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__(vocab_size, seed=4)
        self.extended: list[tuple[int, int]] = []

    def extend(self, context, nodes, cache=None):
        self.extended.append((len(nodes.tokens), int((nodes.depth >= 0).sum())))
        return super().extend(context, nodes, cache)


def large_problem() -> tuple[Counting, torch.Tensor, Catalog]:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(16, (3000, 3), generator=generator)
    histories = torch.randint(3000, (20, 4), generator=generator)
    return Counting(2 + 3 * 16), histories, Catalog.from_codes(codes, 16)


def test_titles_take_a_call_a_branching_and_no_prefix_of_what_is_decided():
    catalog = random_titles(3, num_items=300, num_words=12)
    histories = torch.arange(6)[:, None]
    backbone = Counting(catalog.vocab_size)
    found = exact_search(backbone, histories, catalog, top_k=5, mask="before")
    assert found.exact.all()
    assert sum(count for _, count in backbone.extended) == found.num_scored.sum()
    calls = len(backbone.extended)
    with step_by_step():
        expected = exact_search(backbone, histories, catalog, top_k=5, mask="before")
    assert_same_where_exact(found, expected)
    assert calls < len(backbone.extended) - calls
    assert (found.num_scored < expected.num_scored).all()


def test_scores_a_small_part_of_the_tree_and_every_prefix_once():
    backbone, histories, catalog = large_problem()
    found = exact_search(backbone, histories, catalog, top_k=5)
    assert sum(count for _, count in backbone.extended) == found.num_scored.sum()
    every = full_sort(backbone, histories, catalog, top_k=5)
    assert_same_where_exact(found, every)
    assert found.exact.all()
    assert (every.num_scored == catalog.num_nodes - catalog.num_leaves).all()
    assert found.num_scored.sum() < every.num_scored.sum() / 4


def test_users_that_are_searched_on_together_are_bounded(monkeypatch):
    backbone, histories, catalog = large_problem()
    exact_search(backbone, histories, catalog, top_k=5, beam_width=1)
    together = [users for users, _ in backbone.extended]
    monkeypatch.setattr(MODULE, "PREFIXES_AT_ONCE", 1)
    backbone.extended.clear()
    alone = exact_search(backbone, histories, catalog, top_k=5, beam_width=1)
    assert alone.exact.all()
    assert {users for users, _ in backbone.extended} == {20, 1}  # the first beam, then one by one
    assert len(together) < len(backbone.extended)


def test_one_group_of_users_goes_on_to_its_end_before_the_next(monkeypatch):
    """Else all of them would be held at once, each grown to the bound."""
    backbone, histories, catalog = large_problem()
    monkeypatch.setattr(MODULE, "PREFIXES_AT_ONCE", 1)
    advance, steps = Frontier.advance, []

    def watched(frontier, width):
        steps.append((*frontier.users.tolist(), width))
        advance(frontier, width)

    monkeypatch.setattr(Frontier, "advance", watched)
    assert exact_search(backbone, histories, catalog, top_k=5, beam_width=1).exact.all()
    users = [user for user, _ in steps]
    assert len(set(users)) == 20
    assert len(users) > 20  # some take several steps
    changes = sum(one != other for one, other in pairwise(users))
    assert changes == 19
    for user in range(20):
        assert [width for each, width in steps if each == user] == [8, 64, 512][: users.count(user)]


@pytest.mark.parametrize(
    ("held", "settings", "users"),
    [
        (2**15, {"top_k": 5}, 20),  # as many as there are
        (3 * 25 * 3, {"top_k": 5}, 3),  # 25 prefixes on each of 3 levels
        (3 * 60 * 3, {"top_k": 5, "beam_width": 60}, 3),
        (3 * 25 * 3, {"top_k": 5, "max_prefixes": 15}, 15),
        (1, {"top_k": 5}, 1),
    ],
)
def test_users_at_once_follow_the_prefixes_of_the_first_beam(monkeypatch, held, settings, users):
    backbone, histories, catalog = large_problem()
    monkeypatch.setattr(MODULE, "PREFIXES_HELD", held)
    exact_search(backbone, histories, catalog, **settings)
    assert max(together for together, _ in backbone.extended) == users


def test_what_is_eligible_for_all_is_counted_once(monkeypatch):
    made = []

    class Watched(Eligibility):
        def __init__(self, *given):
            made.append(given)
            super().__init__(*given)

    monkeypatch.setattr(branches, "Eligibility", Watched)
    backbone, histories, catalog = large_problem()
    eligible = torch.arange(3000) % 3 > 0
    found = exact_search(backbone, histories, catalog, top_k=5, eligible=eligible, beam_width=1)
    assert len(made) == 1
    assert_same_where_exact(found, full_sort(backbone, histories, catalog, 5, eligible=eligible))


def test_ties_are_searched_as_far_as_it_takes():
    codes = torch.cartesian_prod(*[torch.arange(3)] * 4)
    catalog = Catalog.from_codes(codes, codebook_size=3)
    asked = (TableBackbone(catalog.vocab_size, num_values=1), torch.tensor([[7]]), catalog, 4)
    found = exact_search(*asked, beam_width=1)
    assert found.leaves.tolist() == [[0, 1, 2, 3]]
    assert found.num_scored.tolist() == [1 + 3 + 9 + 27]  # every prefix ties with the fourth leaf
    assert exact_search(*asked, beam_width=1, max_prefixes=39).exact.tolist() == [False]


def test_nobody_and_nothing_eligible():
    backbone, histories, catalog = large_problem()
    assert exact_search(backbone, histories[:0], catalog, top_k=3).items.shape == (0, 3)
    none = torch.zeros(3000, dtype=torch.bool)
    found = exact_search(backbone, histories, catalog, top_k=3, eligible=none)
    assert (found.items == -1).all()
    assert found.exact.all()
    assert found.num_scored.tolist() == [0] * 20
    assert backbone.extended == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beam_width": 0}, "beam_width must be >= 1, got 0"),
        ({"max_prefixes": 0}, "max_prefixes must be >= 1, got 0"),
        ({"chunk_size": 0}, "chunk_size must be >= 1, got 0"),
        ({"top_k": 0}, "top_k must be >= 1, got 0"),
        ({"mask": "none"}, "mask must be one of after, before, got 'none'"),
    ],
)
def test_refuses(change, message):
    backbone, histories, catalog = large_problem()
    with pytest.raises(ValueError, match=message):
        exact_search(backbone, histories, catalog, **change)
