"""Ranks, margins and levels of loss, worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.evaluation.survival_targets import (
    kept_by_level,
    level_of_loss,
    margins,
    target_places,
)
from beamwise.evaluation.survival_tree import ScoredTree

SHARES = [1.0, 0.5, 0.3, 0.2, 0.26, 0.24, 0.15, 0.15, 0.2]


def tree(num_users: int) -> ScoredTree:
    """Leaves 00, 01, 10, 11, 20 below nodes 1, 2, 3."""
    codes = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]])
    catalog = Catalog.from_codes(codes, codebook_size=3)
    return ScoredTree(catalog, torch.tensor([SHARES] * num_users).log())


def test_golden():
    # Targets 11 (ties with 10, which comes first), 20, and one that is retired.
    scored = tree(3)
    leaves = torch.tensor([3, 4, 0])
    places = target_places(scored, leaves, torch.tensor([True, True, False]))
    assert places.nodes.tolist() == [[2, 7], [3, 8], [1, 4]]
    assert places.reachable.tolist() == [True, True, False]
    assert places.ranks.tolist() == [[2, 5], [3, 3], [-1, -1]]
    assert places.token_ranks.tolist() == [[2, 2], [3, 1], [-1, -1]]
    gaps = margins(scored, places, (2, 3))  # the second prefix has 0.3, the third leaf 0.2
    expected = [[0.0, math.log(0.15 / 0.2)], [math.log(0.2 / 0.3), 0.0]]
    torch.testing.assert_close(gaps[:2], torch.tensor(expected))
    assert gaps[2].tolist() == [math.inf, math.inf]


def test_no_margin_where_fewer_compete_than_have_places():
    scored = tree(1)
    places = target_places(scored, torch.tensor([3]), torch.tensor([True]))
    assert margins(scored, places, (4, 6)).tolist() == [[math.inf, math.inf]]


def test_what_nothing_enters_is_not_reachable():
    scored = tree(1)
    scored.scores[0, 8] = -math.inf
    places = target_places(scored, torch.tensor([4]), torch.tensor([True]))
    assert not places.reachable.any()
    assert (places.ranks == -1).all()


def test_a_short_target_competes_among_its_prefixes_and_then_among_all_leaves():
    # Paths 2 1 (ends at level 2) and 3 2 1: at level 2 the first competes no more.
    catalog = Catalog.from_tokens(torch.tensor([[2, 0], [3, 2]]), lengths=[1, 2])
    scores = torch.tensor([[1.0, 0.4, 0.6, 0.4, 0.5, 0.45]]).log()
    scored = ScoredTree(catalog, scores)
    places = target_places(scored, torch.tensor([0]), torch.tensor([True]))
    assert places.nodes.tolist() == [[1, 3, 3]]
    assert places.ranks.tolist() == [[2, -1, 2]]
    assert places.competes.tolist() == [[True, False, True]]
    assert places.token_ranks.tolist() == [[2, 1, -1]]


def test_a_token_that_ends_an_item_takes_no_place_from_one_that_does_not():
    # Below 2 stand the end of "2", with more mass than 3, which leads on, and than 4, which ties.
    titles = torch.tensor([[2, 0, 0], [2, 3, 2], [2, 4, 2]])
    catalog = Catalog.from_tokens(titles, lengths=[1, 3, 3])
    paths = catalog.leaf_tokens.tolist()
    end = next(row for row, path in enumerate(paths) if path[2] == -1)
    on = next(row for row, path in enumerate(paths) if path[1] == 3)
    tied = next(row for row, path in enumerate(paths) if path[1] == 4)
    scores = torch.full((3, catalog.num_nodes), -1.0)
    nodes = catalog.leaf_nodes.long()
    scores[:, nodes[end, 1]] = -0.5
    scored = ScoredTree(catalog, scores)
    places = target_places(scored, torch.tensor([end, on, tied]), torch.ones(3, dtype=torch.bool))
    assert places.token_ranks[:, 1].tolist() == [1, 1, 2]
    assert places.ranks[1:, 1].tolist() == [1, 2]


def test_levels_of_loss():
    nodes = torch.tensor([[1, 4], [2, 6], [1, 5], [-1, -1]])
    lives = torch.tensor([[True, True], [True, False], [True, True], [True, True]])
    returned = torch.tensor([True, False, False, True])
    kept = kept_by_level(nodes, lives, returned)
    assert kept.tolist() == [[True, True], [True, False], [True, False], [False, False]]
    assert level_of_loss(kept).tolist() == [0, 2, 2, 1]


@pytest.mark.parametrize("ranks", [(1, 2, 3, 4, 5)])
def test_ties_go_to_the_lower_leaf(ranks):
    scored = tree(5)
    scored.scores[:] = math.log(0.5)
    places = target_places(scored, torch.arange(5), torch.ones(5, dtype=torch.bool))
    assert tuple(places.ranks[:, 1].tolist()) == ranks
