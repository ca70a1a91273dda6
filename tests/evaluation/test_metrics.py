"""Metrics against hand-worked values, scikit-learn, and enumeration of tied orders."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, top_k_accuracy_score

from beamwise.evaluation.metrics import (
    first_item_ranks,
    leaf_ranks,
    metrics_at,
    metrics_of_ranks,
    ndcg,
    ndcg_by_item,
    recall,
    recall_by_item,
)

LEAVES = torch.tensor([[4, 0, 2], [3, 1, -1], [0, 1, 2]])


def test_leaf_ranks_golden():  # third, second, not returned
    assert leaf_ranks(LEAVES, torch.tensor([2, 1, 4])).tolist() == [3, 2, -1]


def test_padding_is_never_a_hit():
    assert leaf_ranks(torch.full((1, 3), -1), torch.tensor([0])).tolist() == [-1]


def test_first_item_ranks_golden():  # above: leaves of 2 + 3 items; one of 4; not returned
    sizes = torch.tensor([[2, 3, 1], [4, 5, 9], [3, 5, 1]])
    assert first_item_ranks(torch.tensor([3, 2, -1]), sizes).tolist() == [6, 5, -1]


def test_recall_and_ndcg_golden():
    ranks = torch.tensor([1, 3, 4, -1])
    assert recall(ranks, 3).tolist() == [1.0, 1.0, 0.0, 0.0]
    # 1 / log2(2) = 1, 1 / log2(4) = 1/2, the others are cut off
    torch.testing.assert_close(
        ndcg(ranks, 3), torch.tensor([1.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    )


def test_by_item_golden():
    # Leaf of 3 items spans ranks 3, 4, 5; at K = 4 two of the three count.
    # NDCG@4 = (1 / log2 4 + 1 / log2 5) / 3.
    first, sizes = torch.tensor([3, -1]), torch.tensor([3, 3])
    expected = torch.tensor([2 / 3, 0.0], dtype=torch.float64)
    torch.testing.assert_close(recall_by_item(first, sizes, 4), expected)
    expected = torch.tensor([(0.5 + 1 / math.log2(5)) / 3, 0.0], dtype=torch.float64)
    torch.testing.assert_close(ndcg_by_item(first, sizes, 4), expected)


@pytest.mark.parametrize("metric", [recall, ndcg])
def test_a_cutoff_below_one_is_refused(metric):
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        metric(torch.tensor([1]), 0)


@pytest.mark.parametrize("metric", [recall_by_item, ndcg_by_item])
def test_a_cutoff_below_one_is_refused_by_item(metric):
    with pytest.raises(ValueError, match="k must be >= 1, got 0"):
        metric(torch.tensor([1]), torch.tensor([1]), 0)


@pytest.mark.parametrize("k", [1, 5, 10, 20])
def test_by_id_equals_scikit_learn(k):
    generator = np.random.default_rng(k)
    scores = generator.random((64, 30))
    targets = generator.integers(0, 30, 64)
    ranks = leaf_ranks(
        torch.from_numpy(np.argsort(-scores, axis=1)[:, :20].copy()), torch.from_numpy(targets)
    )
    relevant = np.eye(30)[targets]
    assert recall(ranks, k).mean().item() == pytest.approx(
        top_k_accuracy_score(targets, scores, k=k, labels=np.arange(30)), abs=1e-12
    )
    assert ndcg(ranks, k).mean().item() == pytest.approx(
        ndcg_score(relevant, scores, k=k, ignore_ties=True), abs=1e-12
    )


def _draw_case(seed: int, num_items: int = 30, num_leaves: int = 12, top_k: int = 12):
    """Random leaf scores; items get those of their leaf, so items of one leaf tie."""
    generator = np.random.default_rng(seed)
    extra = generator.integers(0, num_leaves, num_items - num_leaves)
    leaf_of_item = generator.permutation(np.concatenate([np.arange(num_leaves), extra]))
    scores = generator.random((16, num_leaves))
    targets = generator.integers(0, num_items, 16)
    leaves = torch.from_numpy(np.argsort(-scores, axis=1)[:, :top_k].copy())
    sizes = torch.from_numpy(np.bincount(leaf_of_item, minlength=num_leaves))
    return leaf_of_item, scores, targets, leaves, sizes


def _by_item(case, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    leaf_of_item, _, targets, leaves, sizes = case
    target_leaves = torch.from_numpy(leaf_of_item[targets])
    first = first_item_ranks(leaf_ranks(leaves, target_leaves), sizes[leaves])
    return (
        recall_by_item(first, sizes[target_leaves], k),
        ndcg_by_item(first, sizes[target_leaves], k),
    )


@pytest.mark.parametrize("k", [1, 3, 5, 10, 20, 30])
def test_ndcg_by_item_equals_scikit_learn_with_tied_items(k):
    """With ties, scikit-learn averages over all orders of tied items."""
    case = _draw_case(seed=k)
    leaf_of_item, scores, targets, _, _ = case
    relevant = np.eye(30)[targets]
    expected = ndcg_score(relevant, scores[:, leaf_of_item], k=k, ignore_ties=False)
    assert _by_item(case, k)[1].mean().item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_by_item_is_the_mean_over_all_orders_within_leaves(k):
    groups = [[3], [0, 5, 1], [2, 4]]  # leaves best first, with their items
    orders = [
        [item for group in order for item in group]
        for order in itertools.product(*map(itertools.permutations, groups))
    ]
    leaves = torch.tensor([[2, 0, 1]])  # their numbers, which are not in order
    sizes = torch.tensor([3, 2, 1])
    for rank, group in enumerate(groups):
        leaf = leaves[0, rank : rank + 1]
        first = first_item_ranks(leaf_ranks(leaves, leaf), sizes[leaves])
        for item in group:
            places = torch.tensor([order.index(item) + 1 for order in orders])
            torch.testing.assert_close(
                recall_by_item(first, sizes[leaf], k)[0], recall(places, k).mean()
            )
            torch.testing.assert_close(
                ndcg_by_item(first, sizes[leaf], k)[0], ndcg(places, k).mean()
            )


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12))
def test_the_best_k_leaves_decide_every_metric_at_k(seed, k):
    full, cut = _draw_case(seed), _draw_case(seed, top_k=k)
    for from_full, from_cut in zip(_by_item(full, k), _by_item(cut, k), strict=True):
        assert torch.equal(from_full, from_cut)


@given(seed=st.integers(0, 2**32 - 1))
def test_metrics_rise_with_k_up_to_one(seed):
    case = _draw_case(seed)
    values = [_by_item(case, k) for k in range(1, 31)]
    for index in range(2):
        stacked = torch.stack([pair[index] for pair in values])
        assert (stacked.diff(dim=0) >= 0).all()
        assert stacked.max() <= 1 + 1e-12
    torch.testing.assert_close(values[-1][0], torch.ones(16, dtype=torch.float64))


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 20))
def test_items_of_one_leaf_may_change_places(seed, k):
    leaf_of_item, scores, targets, leaves, sizes = _draw_case(seed)
    shifted = np.array(  # every target replaced by the next item of its own leaf
        [
            items[(np.flatnonzero(items == target)[0] + 1) % len(items)]
            for target in targets
            for items in [np.flatnonzero(leaf_of_item == leaf_of_item[target])]
        ]
    )
    before = _by_item((leaf_of_item, scores, targets, leaves, sizes), k)
    after = _by_item((leaf_of_item, scores, shifted, leaves, sizes), k)
    assert all(map(torch.equal, before, after))


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12))
def test_without_collisions_both_ways_of_counting_agree(seed, k):
    case = _draw_case(seed, num_items=12)
    leaf_of_item, _, targets, leaves, _ = case
    ranks = leaf_ranks(leaves, torch.from_numpy(leaf_of_item[targets]))
    by_item = _by_item(case, k)
    torch.testing.assert_close(by_item[0], recall(ranks, k))
    torch.testing.assert_close(by_item[1], ndcg(ranks, k))


def test_metrics_at_names_and_values():
    sizes = torch.tensor([2, 1, 1, 1, 3])
    target_leaves = torch.tensor([0, 1, 4])
    columns = metrics_at(
        LEAVES, target_leaves, sizes[LEAVES.clamp(min=0)], sizes[target_leaves], ks=(1, 3)
    )
    assert {name: values.tolist() for name, values in columns.items() if "ndcg" not in name} == {
        "leaf_rank": [2, 2, -1],
        "first_item_rank": [4, 2, -1],  # leaf 4 holds three items
        "recall@1": [0, 0, 0],
        "recall@3": [1, 1, 0],
        "recall@1_by_item": [0, 0, 0],
        "recall@3_by_item": [0, 1, 0],
    }
    assert columns["ndcg@3"].tolist() == pytest.approx([1 / math.log2(3)] * 2 + [0])
    assert columns["ndcg@3_by_item"].tolist() == pytest.approx([0, 1 / math.log2(3), 0])
    assert columns["ndcg@1"].tolist() == columns["ndcg@1_by_item"].tolist() == [0, 0, 0]


def test_metrics_of_known_ranks():
    # The target's rank is known: 2 among leaves, 3 among items.
    ranks, first, tied = (torch.tensor([number]) for number in (2, 3, 1))
    found = metrics_of_ranks(ranks, first, tied, (2, 3))
    expected = {
        "recall@2": 1.0,
        "ndcg@2": 1 / math.log2(3),
        "recall@3": 1.0,
        "ndcg@3": 1 / math.log2(3),
        "recall@2_by_item": 0.0,
        "ndcg@2_by_item": 0.0,
        "recall@3_by_item": 1.0,
        "ndcg@3_by_item": 1 / math.log2(4),
    }
    assert {name: values.item() for name, values in found.items()} == pytest.approx(expected)
