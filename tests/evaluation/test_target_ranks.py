"""Ranks of targets by hand and against sorting every item and every leaf."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from beamwise.evaluation.target_ranks import ItemOrder, target_ranks


def test_golden():
    # Leaves: items 0 and 3 share leaf 1, item 1 is leaf 0, item 2 leaf 2, item 4 leaf 3.
    # By popularity: 2 0 1 3 4. Scores 7 for item 3, 7 for item 1, 5 for item 0: items are in the
    # order 1 3 0 2 4 and leaves 0 1 2 3.
    order = ItemOrder(np.array([1, 2, 0, 3, 4]), np.array([1, 0, 2, 1, 3]))
    scores = csr_array(np.array([[5, 7, 0, 7, 0]] * 5))
    ranks = target_ranks(scores, np.arange(5), order)
    assert ranks.item_ranks.tolist() == [3, 1, 4, 2, 5]
    assert ranks.leaf_ranks.tolist() == [2, 1, 3, 2, 4]


def test_without_scores_the_order_decides():
    # Item 1 leads; its leaf 0 is shared with item 2, the last.
    order = ItemOrder(np.array([1, 0, 2]), np.array([1, 0, 0]))
    ranks = target_ranks(csr_array((3, 3), dtype=np.int64), np.arange(3), order)
    assert ranks.item_ranks.tolist() == [2, 1, 3]
    assert ranks.leaf_ranks.tolist() == [2, 1, 1]


@given(data=st.data(), num_items=st.integers(1, 9), batch=st.integers(1, 4))
def test_equals_sorting_all_items(data, num_items, batch):
    scores = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 3), min_size=num_items, max_size=num_items),
                           min_size=batch, max_size=batch))
    )  # fmt: skip
    places = np.array(data.draw(st.permutations(range(num_items))))
    leaves = data.draw(st.lists(st.integers(0, 4), min_size=num_items, max_size=num_items))
    leaves = np.unique(leaves, return_inverse=True)[1]  # every leaf has an item
    targets = np.array(data.draw(st.lists(st.integers(0, num_items - 1), min_size=batch,
                                          max_size=batch)))  # fmt: skip
    retired = np.array(data.draw(st.lists(st.booleans(), min_size=num_items, max_size=num_items)))
    ranks = target_ranks(csr_array(scores), targets, ItemOrder(places, leaves, retired))
    kept = np.flatnonzero(~retired).tolist()
    for row, target in enumerate(targets.tolist()):
        if retired[target]:
            assert ranks.item_ranks[row] == ranks.leaf_ranks[row] == -1
            continue
        ranked = sorted(kept, key=lambda item: (-scores[row, item], places[item]))
        distinct = list(dict.fromkeys(leaves[item] for item in ranked))
        assert ranks.item_ranks[row] == ranked.index(target) + 1
        assert ranks.leaf_ranks[row] == distinct.index(leaves[target]) + 1


def test_retired_items_are_before_nobody_golden():
    # Leaves: 0 has items 0 and 1, leaf 1 has item 2, leaf 2 item 3. Items 0 and 2 are retired, so
    # items are 3 1 (scores 7, 5) and leaves 2 0, although items 0 and 2 have scores 9 and 8.
    retired = np.array([True, False, True, False])
    order = ItemOrder(np.arange(4), np.array([0, 0, 1, 2]), retired)
    ranks = target_ranks(csr_array(np.array([[9, 5, 8, 7]] * 4)), np.arange(4), order)
    assert ranks.item_ranks.tolist() == [-1, 2, -1, 1]
    assert ranks.leaf_ranks.tolist() == [-1, 2, -1, 1]
    # Without scores the places decide: 1 before 3.
    ranks = target_ranks(csr_array((4, 4), dtype=np.int64), np.arange(4), order)
    assert ranks.item_ranks.tolist() == [-1, 1, -1, 2]
    assert ranks.leaf_ranks.tolist() == [-1, 1, -1, 2]
