"""The tiny catalogs are what their docstrings say."""

import torch

from beamwise.testing.tiny_catalogs import TITLES, random_semantic_ids


def test_titles_end_at_several_depths_and_two_items_share_a_leaf():
    leaves = [[token for token in row if token >= 0] for row in TITLES.leaf_tokens.tolist()]
    assert leaves == [[5, 6, 1], [5, 6, 7, 1], [5, 9, 1], [8, 1]]
    assert TITLES.leaf_of_item.tolist() == [1, 0, 3, 2, 1]


def test_random_semantic_ids_depend_on_the_seed_alone():
    one, again, other = (random_semantic_ids(seed) for seed in (4, 4, 5))
    assert torch.equal(one.leaf_tokens, again.leaf_tokens)
    assert not torch.equal(one.leaf_of_item, other.leaf_of_item)
    assert one.num_levels == 3
