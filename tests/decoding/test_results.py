import math

import torch

from beamwise import Catalog
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.results import EXACTNESS_TOLERANCE, LeavesFound, SearchResult, rank_leaves

# leaves 0: items 1 and 3, 1: item 0, 2: item 2
CATALOG = Catalog.from_tokens(torch.tensor([[2, 6], [3, 5], [7, 5], [3, 5]]))
LEAVES = CATALOG.leaf_of_item.tolist()


def ranked(leaves, log_probs, top_k=3, best_dropped=-math.inf, eligible=None):
    found = LeavesFound(
        torch.zeros(len(leaves), dtype=torch.int64),
        torch.tensor(leaves, dtype=torch.int64),
        torch.tensor(log_probs, dtype=torch.float32),
        torch.tensor([best_dropped]),
        torch.tensor([7]),
    )
    return rank_leaves(found, top_k, CATALOG, Eligibility(CATALOG, eligible))


def test_the_catalog_is_what_the_tests_below_say():
    assert LEAVES == [0, 1, 2, 1]


def test_leaves_become_items_in_order_of_score_then_index():
    result = ranked([2, 1, 0], [-3.0, -1.0, -2.0])
    assert result.leaves.tolist() == [[1, 0, 2]]
    assert result.leaf_log_probs.tolist() == [[-1.0, -2.0, -3.0]]
    assert result.items.tolist() == [[1, 3, 0]]  # leaf 1 stands for two items, leaf 2 is cut off
    assert result.log_probs.tolist() == [[-1.0, -1.0, -2.0]]
    assert result.tokens.tolist() == [[[3, 5], [3, 5], [2, 6]]]


def test_ties_go_to_the_lower_leaf_in_whatever_order_they_were_found():
    assert ranked([2, 0, 1], [-1.0, -1.0, -1.0]).leaves.tolist() == [[0, 1, 2]]


def test_missing_results_are_padded():
    result = ranked([2], [-1.0])
    assert result.leaves.tolist() == [[2, -1, -1]]
    assert result.leaf_log_probs.tolist() == [[-1.0, -math.inf, -math.inf]]
    assert result.items.tolist() == [[2, -1, -1]]
    assert result.tokens.tolist() == [[[7, 5], [-1, -1], [-1, -1]]]


def test_items_that_are_not_eligible_are_left_out():
    eligible = torch.tensor([True, False, True, True])
    assert ranked([1, 0], [-1.0, -2.0], eligible=eligible).items.tolist() == [[3, 0, -1]]


def test_exactness_asks_for_more_than_the_tolerance():
    assert ranked([0], [-1.0], top_k=1, best_dropped=-1.0 - 3 * EXACTNESS_TOLERANCE).exact.all()
    assert not ranked([0], [-1.0], top_k=1, best_dropped=-1.0 - EXACTNESS_TOLERANCE / 3).exact.any()
    assert ranked([0], [-1.0], top_k=3).exact.all()  # fewer than asked for, but nothing was pruned
    assert not ranked([0], [-1.0], top_k=3, best_dropped=-90.0).exact.any()


def test_results_are_joined_and_chosen_by_user():
    first, second = ranked([0], [-1.0]), ranked([1], [-2.0])
    joined = SearchResult.joined([first, second])
    assert joined.leaves[:, 0].tolist() == [0, 1]
    assert joined.rows(torch.tensor([1])).leaf_log_probs[:, 0].tolist() == [-2.0]


def test_results_of_some_users_are_replaced():
    first = SearchResult.joined([ranked([0], [-1.0]), ranked([1], [-2.0]), ranked([2], [-3.0])])
    others = SearchResult.joined([ranked([2], [-0.5], best_dropped=-0.4), ranked([0], [-0.7])])
    mixed = first.replaced(torch.tensor([2, 0]), others)
    assert mixed.leaves[:, 0].tolist() == [0, 1, 2]
    torch.testing.assert_close(mixed.log_probs[:, 0], torch.tensor([-0.7, -2.0, -0.5]))
    assert mixed.exact.tolist() == [True, True, False]
    assert first.leaves[:, 0].tolist() == [0, 1, 2]
    assert first.exact.all()
