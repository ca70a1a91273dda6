"""Levels in words: ranks, margins, codes, and where items were lost, worked by hand."""

import math

import polars as pl
import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search, full_sort
from beamwise.decoding.request import SearchRequest
from beamwise.experiments.beam_trace import path_log_probs, trace_beam
from beamwise.experiments.inspected_levels import Found, LevelDescriber, codebook_size_of
from beamwise.report.inspection import InspectedItem
from beamwise.testing.table_backbone import TableBackbone, _mixed

# Items a 0.0, b 1.0, c 1.1, and d and e both 2.0. Of the first code, .5, .3 and .2; then a .2 of
# it, b .5, c .5, and d and e .9. So a has .1, b and c .15, d and e .18.
CODES = torch.tensor([[0, 0], [1, 0], [1, 1], [2, 0], [2, 0]])
CATALOG = Catalog.from_codes(CODES, 3, list("abcde"))
TITLES = pl.Series(["A", None, "C", "D", "E"])
GIVEN = {
    (): {2: 0.5, 3: 0.3, 4: 0.2},
    (2,): {5: 0.2, 6: 0.8},
    (3,): {5: 0.5, 6: 0.5},
    (4,): {5: 0.9, 6: 0.1},
}
HISTORY_TOKENS = (2, 5, 1)


class GivenBackbone(TableBackbone):
    """The probabilities of GIVEN after the history of item a."""

    def logits(self, hidden, tokens=None):
        full = torch.full((len(hidden), self.vocab_size), -torch.inf, dtype=torch.float64)
        places = {state_of(prefix): prefix for prefix in GIVEN}
        for row, state in enumerate(hidden[:, 0].long().tolist()):
            for token, probability in GIVEN[places[state]].items():
                full[row, token] = math.log(probability)
        return full if tokens is None else full[:, tokens]


def state_of(prefix):
    """What a TableBackbone makes of a prefix."""
    state = 0
    for token in HISTORY_TOKENS:
        state = _mixed(state, token)
    for depth, token in enumerate((0, *prefix)):
        state = _mixed(_mixed(_mixed(state, token), depth), len(HISTORY_TOKENS))
    return state


def describer(target, width=2, top_k=2, catalog=CATALOG):
    backbone, history = GivenBackbone(catalog.vocab_size), torch.tensor([[0]])
    request = SearchRequest(backbone, history, catalog, top_k, "after", None)
    beam = beam_search(backbone, history, catalog, width, top_k)
    best = full_sort(backbone, history, catalog, top_k)
    followed = torch.tensor([3, 4, *([] if target is None else [target])])
    found = Found(beam, best, target, path_log_probs(request, followed))
    return LevelDescriber(catalog, TITLES, trace_beam(request, [width] * 2), found)


def close(probability):
    return pytest.approx(math.log(probability))


def test_levels_of_a_beam_of_two():
    first, second = (describer(target=2).level(index, 2, 5) for index in range(2))
    assert (first.number, first.num_expanded, first.num_candidates, first.num_lost) == (1, 1, 3, 1)
    assert (second.number, second.num_expanded, second.num_candidates) == (2, 2, 3)
    assert [(each.codes, each.tokens, each.rank, each.state) for each in first.survivors] == [
        ((0,), (2,), 1, "kept"),
        ((1,), (3,), 2, "kept"),
    ]
    assert [each.log_prob for each in first.survivors] == [close(0.5), close(0.3)]
    assert [each.num_items for each in first.survivors] == [1, 2]
    assert [each.is_target for each in first.survivors] == [False, True]
    lost = first.lost[0]
    assert (lost.codes, lost.rank, lost.state, lost.survived) == ((2,), 3, "pruned", False)
    assert (lost.num_items, lost.exact_ranks, lost.log_prob) == (2, (1, 2), close(0.2))
    assert lost.examples == (InspectedItem("d", "D"), InspectedItem("e", "E"))
    assert [(each.codes, each.rank, each.state) for each in second.survivors] == [
        ((1, 0), 1, "returned"),
        ((1, 1), 2, "returned"),
    ]
    assert [each.parent for each in second.survivors] == [first.survivors[1].node] * 2
    assert first.survivors[0].parent == 0
    assert [(e.codes, e.rank, e.state) for e in second.lost] == [((0, 0), 3, "outscored")]


def test_the_targets_examples_come_first():
    """Below code 1 are b and c; c is the target."""
    named = describer(target=2).level(0, 2, 5).survivors[1].examples
    assert named == (InspectedItem("c", "C"), InspectedItem("b", None))


@pytest.mark.parametrize(
    ("target", "first", "second"),
    [
        # a leads level 1 by .5 / .3, and is below b and c.
        (0, ("kept", 0.5, 1, 0.5 / 0.3), ("outscored", 0.1, 3, 0.1 / 0.15)),
        # c is in the second and last prefix kept, ties with b and comes after it.
        (2, ("kept", 0.3, 2, 1.0), ("returned", 0.15, 2, 1.0)),
        # d is pruned; had it been scored, it would be the first.
        (3, ("pruned", 0.2, 3, 0.2 / 0.3), ("lost before", 0.18, 1, 0.18 / 0.15)),
    ],
)
def test_where_the_target_stands(target, first, second):
    words = describer(target)
    for index, (state, probability, rank, ratio) in enumerate((first, second)):
        found = words.level(index, 2, 5).target
        assert found is not None
        assert (found.state, found.rank) == (state, rank)
        assert found.log_prob == close(probability)
        assert found.margin == pytest.approx(math.log(ratio), abs=1e-6)


def test_nothing_pruned_gives_no_margin_and_no_target_none():
    words = describer(target=3, width=5, top_k=5)
    found = [words.level(index, 5, 5).target for index in range(2)]
    assert [(each.state, each.rank, each.margin) for each in found if each] == [
        ("kept", 3, None),
        ("returned", 1, None),
    ]
    assert describer(target=None).level(0, 2, 5).target is None


def test_a_target_whose_tokens_are_returned_for_another_item():
    """Items d and e share a leaf, and there is one place: d, the lower one, has it."""
    states = []
    for target in (3, 4):
        level = describer(target, width=5, top_k=1).level(1, 5, 5)
        assert level.target is not None
        states.append((level.target.state, level.target.rank))
        assert next(each.state for each in level.survivors if each.is_target) == "returned"
    assert states == [("returned", 1), ("crowded out", 1)]


def test_retired_items_are_not_what_a_prefix_leads_to():
    """Of b and c, both below code 1, b is retired."""
    words = describer(target=1, catalog=CATALOG.with_retired(["b"]))
    below = words.level(0, 2, 5).survivors[1]
    assert (below.codes, below.num_items, below.is_target) == ((1,), 1, True)
    assert below.examples == (InspectedItem("c", "C"),)


def test_results_of_both_searches_side_by_side():
    found = [
        (each.item_id, each.title, each.beam_rank, each.exact_rank, each.lost_at, each.is_target)
        for each in describer(target=3).results()
    ]
    assert found == [
        ("d", "D", None, 1, 1, True),
        ("e", "E", None, 2, 1, False),
        ("b", None, 1, None, None, False),
        ("c", "C", 2, None, None, False),
    ]
    assert describer(target=3).results()[0].log_prob == close(0.18)


def test_of_lost_prefixes_the_best_are_named_and_those_that_matter():
    codes = [each.codes for each in describer(target=0, width=1, top_k=1).level(0, 1, 1).lost]
    assert codes == [(1,), (2,)]  # the best, and the one that exact search goes through


def test_codebook_size():
    assert codebook_size_of(CATALOG) == 3
    assert codebook_size_of(Catalog.from_codes(CODES, 3, end_token=True)) == 3
    assert codebook_size_of(Catalog.from_tokens([[2, 2], [3, 2]], vocab_size=8)) is None
    assert codebook_size_of(Catalog.from_tokens([[2, 5], [3, 6]], vocab_size=9)) is None
