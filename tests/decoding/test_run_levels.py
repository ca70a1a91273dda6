"""Levels of a beam where forced runs are computed at once: those of a search token by token."""

from __future__ import annotations

import random
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding.branches import BranchingScorer, eligibility_of
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.run_levels import LevelRunScorer, level_scorer
from beamwise.decoding.search import Level, beam_levels
from beamwise.testing.random_search import random_search
from beamwise.testing.run_choice import along_runs, step_by_step
from beamwise.testing.table_backbone import TableBackbone

# The root branches, six 2s branch, all else is forced.
LONG = [[2, 2, 2, 2, 2, 2, 3, 0], [2, 2, 2, 2, 2, 2, 4, 0], [5, 2, 2, 2, 2, 2, 2, 2]]
BY_HAND = Catalog.from_tokens(LONG, lengths=[7, 7, 8])
NOBODY = torch.full((1, 1), -1)
SAME = ("rows", "tokens", "nodes", "log_probs")
"""Of prefixes, what callers may read."""


def levels_of(request, users, widths):
    return list(beam_levels(request, users, widths, eligibility_of(request, users)))


def assert_same(found: Level, expected: Level) -> None:
    assert torch.equal(found.best_dropped, expected.best_dropped)
    for mine, theirs in zip(found, expected, strict=True):
        if not isinstance(mine, torch.Tensor):
            assert {field.name for field in fields(mine)} == {*SAME, "parents"}
            for name in SAME:
                assert torch.equal(getattr(mine, name), getattr(theirs, name)), name


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), titles=st.booleans(), unseen=st.booleans())
def test_equals_the_levels_step_by_step(seed, titles, unseen):
    s = random_search(seed, titles=titles, unseen=unseen)
    request = SearchRequest(s.backbone, s.histories, s.catalog, s.top_k, s.mask, s.eligible)
    users = torch.arange(len(s.histories)).flip(0)
    choice = random.Random(seed)
    by_level = [choice.randint(1, 6) for _ in range(s.catalog.num_levels)]
    for widths in ([choice.choice((1, 3, 20))] * s.catalog.num_levels, by_level):
        with step_by_step():
            expected = levels_of(request, users, widths)
        with along_runs():
            found = levels_of(request, users, widths)
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            assert_same(mine, theirs)


class Counting(TableBackbone):
    """Notes how many prefixes each call computes."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__(vocab_size)
        self.calls: list[int] = []

    def extend(self, context, nodes, cache=None):
        self.calls.append(int((nodes.tokens >= 0).sum()))
        return super().extend(context, nodes, cache)


@pytest.mark.parametrize(("mask", "calls"), [("before", [1, 6]), ("after", [1, 14, 2])])
def test_golden_calls(mask, calls):
    # Before: the root, then 2 to the sixth 2; all three items are decided then. After: the root;
    # the six 2s and, beside them, the eight tokens of the third title; then 3 and 4 of the others.
    backbone = Counting(BY_HAND.vocab_size)
    request = SearchRequest(backbone, NOBODY, BY_HAND, 3, mask, None)
    levels = levels_of(request, torch.zeros(1, dtype=torch.int64), [3] * 9)
    assert backbone.calls == calls
    assert [len(level.kept.nodes) for level in levels] == [2, 2, 2, 2, 2, 2, 3, 1, 0]
    assert [len(level.leaves.nodes) for level in levels] == [0] * 7 + [2, 1]


def test_a_single_title_is_certain_before_the_softmax_and_never_computed():
    catalog = Catalog.from_tokens([LONG[2]], lengths=[8])
    for mask, calls in (("before", []), ("after", [9])):
        backbone = Counting(catalog.vocab_size)
        request = SearchRequest(backbone, NOBODY, catalog, 1, mask, None)
        levels = levels_of(request, torch.zeros(1, dtype=torch.int64), [1] * 9)
        assert backbone.calls == calls
        assert (levels[-1].leaves.log_probs == 0).tolist() == [mask == "before"]


def test_the_tree_decides():
    backbone = TableBackbone(BY_HAND.vocab_size)
    context = backbone.read(backbone.encode_histories(NOBODY, BY_HAND))
    short = Catalog.from_tokens([[2, 2], [2, 3]], vocab_size=BY_HAND.vocab_size)
    for catalog, kind in ((BY_HAND, LevelRunScorer), (short, BranchingScorer)):
        request = SearchRequest(backbone, NOBODY, catalog, 1, "after", None)
        eligibility = eligibility_of(request, torch.zeros(1, dtype=torch.int64))
        assert type(level_scorer(request, context, eligibility)) is kind
