"""Outcomes under the beam and the full sort, worked by hand and against sets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.decoding import SearchResult
from beamwise.evaluation import SurvivalCounts, count_survival
from beamwise.evaluation.metrics import leaf_ranks, recall


def result_of(leaves: torch.Tensor) -> SearchResult:
    """A result in which every leaf holds the one item of its number; scores mean nothing."""
    log_probs = torch.where(leaves >= 0, -1.0, -torch.inf)
    return SearchResult(
        leaves=leaves,
        leaf_log_probs=log_probs,
        items=leaves,
        log_probs=log_probs,
        tokens=leaves[:, :, None],
        exact=torch.zeros(len(leaves), dtype=torch.bool),
        num_scored=torch.ones(len(leaves), dtype=torch.int64),
    )


def test_golden():
    full_sort = torch.tensor([[0, 1, 2]] * 4)
    beam = torch.tensor([[0, 1, 2], [2, 5, 6], [0, 2, 5], [1, 0, 5]])
    targets = torch.tensor([1, 0, 5, 7])
    # found; 0 is pruned; 5 takes the place of 1; 7 is in neither. Kept: 3 + 1 + 2 + 2 of 12.
    counts = count_survival(result_of(beam), result_of(full_sort), targets)
    assert counts == SurvivalCounts(
        found=1, pruned=1, promoted=1, outscored=1, best_leaves=12, retained_leaves=8
    )
    assert counts.shares() == {
        "found": 0.25,
        "pruned": 0.25,
        "promoted": 0.25,
        "outscored": 0.25,
        "retention": 8 / 12,
    }


def test_padding_is_no_leaf_that_was_kept():
    leaves = result_of(torch.tensor([[3, -1, -1]]))
    counts = count_survival(leaves, leaves, torch.tensor([3]))
    assert (counts.best_leaves, counts.retained_leaves) == (1, 1)


def draw(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    orders = torch.rand(2, 20, 9, generator=generator).argsort(dim=-1)
    return orders[0, :, :4], orders[1, :, :4], torch.randint(0, 9, (20,), generator=generator)


@given(seed=st.integers(0, 2**32 - 1))
def test_counts_equal_those_of_sets(seed):
    beam, full_sort, targets = draw(seed)
    counts = count_survival(result_of(beam), result_of(full_sort), targets)
    rows = zip(beam.tolist(), full_sort.tolist(), targets.tolist(), strict=True)
    by_hand = dict.fromkeys(["found", "pruned", "promoted", "outscored", "retained_leaves"], 0)
    for kept, best, target in rows:
        name = {
            (True, True): "found",
            (False, True): "pruned",
            (True, False): "promoted",
            (False, False): "outscored",
        }[target in kept, target in best]
        by_hand[name] += 1
        by_hand["retained_leaves"] += len(set(kept) & set(best))
    assert counts == SurvivalCounts(**by_hand, best_leaves=80)


@given(seed=st.integers(0, 2**32 - 1))
def test_outcomes_explain_both_recalls(seed):
    beam, full_sort, targets = draw(seed)
    counts = count_survival(result_of(beam), result_of(full_sort), targets)
    assert counts.found + counts.promoted == recall(leaf_ranks(beam, targets), 4).sum()
    assert counts.found + counts.pruned == recall(leaf_ranks(full_sort, targets), 4).sum()


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 19))
def test_counts_of_two_groups_add_up(seed, cut):
    beam, full_sort, targets = draw(seed)
    parts = [
        count_survival(result_of(beam[rows]), result_of(full_sort[rows]), targets[rows])
        for rows in (slice(None, cut), slice(cut, None))
    ]
    whole = count_survival(result_of(beam), result_of(full_sort), targets)
    assert parts[0] + parts[1] == whole
    assert whole.users == 20


def test_results_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2\), full sort results \(1, 3\).*same histories"):
        count_survival(
            result_of(torch.tensor([[0, 1]])),
            result_of(torch.tensor([[0, 1, 2]])),
            torch.tensor([0]),
        )


def test_shares_of_nobody_are_refused():
    with pytest.raises(ValueError, match="no targets were counted"):
        SurvivalCounts().shares()
