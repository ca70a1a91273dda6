"""Beams along forced runs: what a search token by token finds, in fewer calls and prefixes."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from beamwise.backbones.base import PrefixNodes
from beamwise.catalog import Catalog
from beamwise.decoding import ListedItems, SearchResult, beam_search
from beamwise.testing.random_search import assert_ranked, random_search
from beamwise.testing.run_choice import along_runs, step_by_step
from beamwise.testing.table_backbone import TableBackbone, TableCache, TableContext
from beamwise.testing.tiny_catalogs import random_titles

SEEDS = st.integers(0, 2**32 - 1)
LONG = [
    [2, 2, 2, 2, 2, 2, 3, 0],
    [2, 2, 2, 2, 2, 2, 4, 0],
    [5, 2, 2, 2, 2, 2, 2, 2],
]
BY_HAND = Catalog.from_tokens(LONG, lengths=[7, 7, 8])
"""The root branches, six 2s branch, all else is forced."""
NOBODY = torch.full((1, 1), -1)


def assert_same(found: SearchResult, expected: SearchResult) -> None:
    """All but the work, bit by bit."""
    for field in fields(SearchResult):
        if field.name != "num_scored":
            assert torch.equal(getattr(found, field.name), getattr(expected, field.name)), field


@pytest.mark.parametrize("titles", [True, False])
@settings(max_examples=10)
@given(seed=SEEDS, chunk_size=st.sampled_from([1, 3, None]), unseen=st.booleans())
def test_equals_the_search_step_by_step(titles, seed, chunk_size, unseen):
    s = random_search(seed, titles=titles, unseen=unseen)
    asked = (s.backbone, s.histories, s.catalog)
    choice = random.Random(seed)
    by_level = [choice.randint(1, 6) for _ in range(s.catalog.num_levels)]
    for widths in (choice.choice((1, 2, 4, 20)), by_level, sorted(by_level)):
        last = widths if isinstance(widths, int) else widths[-1]
        rest = {"mask": s.mask, "eligible": s.eligible, "chunk_size": chunk_size}
        with step_by_step():
            expected = beam_search(*asked, widths, min(s.top_k, last), **rest)
        with along_runs():
            assert_same(beam_search(*asked, widths, min(s.top_k, last), **rest), expected)


@settings(max_examples=8)
@given(seed=SEEDS, widths=st.lists(st.integers(1, 6), min_size=30, max_size=30))
def test_equals_brute_force(seed, widths):
    s = random_search(seed, titles=True)
    widths = widths[: s.catalog.num_levels]
    top_k = min(s.top_k, widths[-1])
    with along_runs():
        found = beam_search(s.backbone, s.histories, s.catalog, widths, top_k, s.mask, s.eligible)
    for user in range(len(s.histories)):
        expected = s.brute_force(user).beam_search(widths, top_k)
        assert_ranked(found, user, expected)
        assert bool(found.exact[user]) == expected.exact


@dataclass(frozen=True)
class WatchedContext(TableContext):
    users: Tensor

    def select(self, rows: Tensor) -> WatchedContext:
        return WatchedContext(self.states[rows], self.lengths[rows], self.users[rows])


@dataclass(frozen=True)
class WatchedCache(TableCache):
    nodes: Tensor

    def select(self, rows: Tensor) -> WatchedCache:
        return WatchedCache(self.states[rows], self.nodes[rows])


class Watched(TableBackbone):
    """Notes the catalog's node of everything that is computed, and for whom, call by call."""

    def __init__(self, catalog: Catalog, seed: int = 0) -> None:
        super().__init__(catalog.vocab_size, seed=seed)
        upper, tokens, lower = catalog.children(torch.arange(catalog.num_nodes))
        edges = zip(upper.tolist(), tokens.tolist(), lower.tolist(), strict=True)
        self.lower = {(node, token): child for node, token, child in edges}
        self.calls: list[list[tuple[int, int]]] = []
        self.num_rows: list[int] = []

    def read(self, history):
        read = super().read(history)
        return WatchedContext(read.states, read.lengths, torch.arange(len(read.lengths)))

    def extend(self, context, nodes, cache=None):
        known = nodes.tokens[:, :0] if cache is None else cache.nodes
        hidden, states = super().extend(context, nodes, cache)
        found = torch.cat([known, self.nodes_of(nodes, known)], dim=1)
        new = found[:, known.shape[1] :].tolist()
        pairs = zip(context.users.tolist(), new, strict=True)
        self.calls.append([(user, node) for user, row in pairs for node in row if node >= 0])
        self.num_rows.append(len(new))
        return hidden, WatchedCache(states.states, found)

    def nodes_of(self, nodes: PrefixNodes, known: Tensor) -> Tensor:
        rows = [list(row) for row in known.tolist()]
        columns = zip(nodes.tokens.T.tolist(), nodes.parents.T.tolist(), nodes.depth.T.tolist(),
                      strict=True)  # fmt: skip
        for tokens, parents, depths in columns:
            for row, token, parent, depth in zip(rows, tokens, parents, depths, strict=True):
                row.append(self.lower[row[parent], token] if depth > 0 else min(depth, 0))
        return torch.tensor([row[known.shape[1] :] for row in rows])


@pytest.mark.parametrize("mask", ["before", "after"])
@settings(max_examples=12)
@given(seed=SEEDS)
def test_nothing_is_computed_twice_or_for_a_decided_item(mask, seed):
    choice = random.Random(seed)
    catalog = random_titles(seed, choice.choice((5, 30)), choice.choice((2, 4, 8)))
    histories = torch.arange(4)[:, None] % catalog.num_items
    width = choice.choice((1, 3, 10))
    draws = [[choice.random() for _ in range(catalog.num_items)] for _ in range(4)]
    eligible = torch.tensor(draws) < choice.choice((0.3, 2))
    watched, stepwise = Watched(catalog, seed % 1000), Watched(catalog, seed % 1000)
    with along_runs():
        found = beam_search(watched, histories, catalog, width, None, mask, eligible)
    with step_by_step():
        beam_search(stepwise, histories, catalog, width, None, mask, eligible)
    computed = [pair for call in watched.calls for pair in call]
    assert len(computed) == len(set(computed)) == int(found.num_scored.sum())
    assert len(watched.calls) <= len(stepwise.calls)
    nodes = torch.tensor([node for _, node in computed], dtype=torch.int64)
    assert not catalog.is_leaf(nodes).any()
    if mask == "before":
        assert not catalog.is_leaf(catalog.run_stop[nodes].long()).any()


def test_golden_calls():
    # Before: the root, then 2 to the sixth 2; all three items are decided then. After: the root;
    # the six 2s and, beside them, the eight tokens of the third title; then 3 and 4 of the others.
    for mask, sizes in (("before", [1, 6]), ("after", [1, 14, 2])):
        backbone = Watched(BY_HAND)
        found = beam_search(backbone, NOBODY, BY_HAND, 3, mask=mask)
        assert [len(call) for call in backbone.calls] == sizes
        assert found.num_scored.tolist() == [sum(sizes)]
        assert found.exact.tolist() == [True]
        stepwise = Watched(BY_HAND)
        with step_by_step():
            assert_same(found, beam_search(stepwise, NOBODY, BY_HAND, 3, mask=mask))
        assert [len(call) for call in stepwise.calls] == [1, 2, 2, 2, 2, 2, 2, 3, 1]


def test_users_at_different_depths_are_computed_together():
    # One may have what begins with 2 and parts after six tokens, one what parts after two.
    early = [[3, 3, 2, 2, 2, 2, 2, 2], [3, 3, 4, 2, 2, 2, 2, 2], *LONG[:2]]
    catalog = Catalog.from_tokens(early, lengths=[8, 8, 7, 7])
    backbone = Watched(catalog)
    eligible = torch.tensor([[True, True, False, False], [False, False, True, True]])
    beam_search(backbone, torch.full((2, 1), -1), catalog, 2, mask="before", eligible=eligible)
    assert [len(call) for call in backbone.calls] == [2, 2 + 6]


def test_users_that_are_done_are_given_up():
    # Three of four users may have the third title alone, which is decided after the first token.
    backbone = Watched(BY_HAND)
    eligible = torch.ones(4, 3, dtype=torch.bool)
    eligible[:3, :2] = False
    histories = torch.arange(4)[:, None] % 3
    found = beam_search(backbone, histories, BY_HAND, 3, None, "before", eligible)
    assert backbone.num_rows == [4, 1]
    lists = ListedItems(torch.tensor([[0, 1]] * 3 + [[-1, -1]]), only=False)
    for same in (eligible, lists):
        with step_by_step():
            expected = beam_search(backbone, histories, BY_HAND, 3, None, "before", same)
        assert_same(found, expected)


def test_a_single_title_is_certain_before_the_softmax_and_never_computed():
    catalog = Catalog.from_tokens([LONG[2]], lengths=[8])
    backbone = Watched(catalog)
    found = beam_search(backbone, NOBODY, catalog, 1, mask="before")
    assert (found.items.tolist(), found.log_probs.tolist()) == ([[0]], [[0.0]])
    assert (backbone.calls, found.exact.tolist()) == ([], [True])
    after = beam_search(backbone, NOBODY, catalog, 1, mask="after")
    assert [len(call) for call in backbone.calls] == [9]  # the root and eight tokens, in one call
    assert after.log_probs.item() < 0


def test_nobody_and_nothing_eligible():
    backbone = Watched(BY_HAND)
    assert beam_search(backbone, NOBODY[:0], BY_HAND, 2).items.shape == (0, 2)
    none = torch.zeros(3, dtype=torch.bool)
    found = beam_search(backbone, NOBODY, BY_HAND, 2, eligible=none)
    assert (found.items.tolist(), found.num_scored.tolist()) == ([[-1, -1]], [0])
    assert backbone.calls == []


def test_a_forced_token_of_probability_zero_ends_its_title():
    # After three tokens a 2 is impossible: of 2 2 2 2 ... and 5 3 3 3 ... the second is left.
    class Stops(TableBackbone):
        def extend(self, context, nodes, cache=None):
            hidden, cache = super().extend(context, nodes, cache)
            return hidden.masked_fill((nodes.depth == 3)[..., None], -1.0), cache

        def logits(self, hidden, tokens=None):
            logits = super().logits(hidden.clamp(min=0))
            logits[..., 2].masked_fill_(hidden[..., 0] < 0, -torch.inf)
            return logits if tokens is None else logits[..., tokens]

    catalog = Catalog.from_tokens([*LONG[:2], [5, 3, 3, 3, 3, 3, 3, 3]], lengths=[7, 7, 8])
    found = beam_search(Stops(catalog.vocab_size), NOBODY, catalog, 3)
    assert found.items.tolist() == [[2, -1, -1]]
    with step_by_step():
        assert_same(found, beam_search(Stops(catalog.vocab_size), NOBODY, catalog, 3))
