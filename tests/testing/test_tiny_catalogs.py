"""The tiny catalogs are what their docstrings say."""

import torch

from beamwise.testing.tiny_catalogs import TITLES, random_semantic_ids, random_titles


def test_titles_end_at_several_depths_and_two_items_share_a_leaf():
    leaves = [[token for token in row if token >= 0] for row in TITLES.leaf_tokens.tolist()]
    assert leaves == [[5, 6, 1], [5, 6, 7, 1], [5, 9, 1], [8, 1]]
    assert TITLES.leaf_of_item.tolist() == [1, 0, 3, 2, 1]


def test_random_semantic_ids_depend_on_the_seed_alone():
    one, again, other = (random_semantic_ids(seed) for seed in (4, 4, 5))
    assert torch.equal(one.leaf_tokens, again.leaf_tokens)
    assert not torch.equal(one.leaf_of_item, other.leaf_of_item)
    assert one.num_levels == 3


def test_random_titles_are_mostly_forced_and_depend_on_the_seed_alone():
    one, again, other = (random_titles(seed, num_items=40) for seed in (4, 4, 5))
    assert torch.equal(one.leaf_tokens, again.leaf_tokens)
    assert one.version != other.version
    assert one.path_shape.mean_tokens > 2 * one.path_shape.mean_branchings > 0
    drawn = [random_titles(seed, num_items=40) for seed in range(10)]
    assert any(catalog.num_leaves < catalog.num_items for catalog in drawn)
    lengths = (one.leaf_tokens >= 0).sum(dim=1)
    assert lengths.min() < lengths.max()
