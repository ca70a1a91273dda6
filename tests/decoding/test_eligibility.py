"""Eligible items below nodes, against a walk over the items."""

from __future__ import annotations

import torch

from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import Eligibility

CATALOG = Catalog.from_tokens([[3, 3], [2, 3], [2, 2], [2, 3]])
# Nodes: 0 root; 1 = (2), 2 = (3); 3 = (2 2), 4 = (2 3) of items 1 and 3, 5 = (3 3).
NODES = torch.arange(6)


def test_golden_by_user():
    eligible = torch.tensor([[False, False, False, True], [True, False, False, False]])
    rule = Eligibility(CATALOG, eligible)
    below = rule.below(torch.zeros_like(NODES), NODES)
    assert below.tolist() == [True, True, False, False, True, False]
    below = rule.below(torch.ones_like(NODES), NODES)
    assert below.tolist() == [True, False, True, False, False, True]
    items = torch.tensor([3, 3, 0])
    assert rule.of_items(torch.tensor([0, 1, 1]), items).tolist() == [True, False, True]


def test_shared_and_absent():
    rule = Eligibility(CATALOG, torch.tensor([False, False, True, False]))
    rows = torch.full_like(NODES, 7)
    assert rule.below(rows, NODES).tolist() == [True, True, False, True, False, False]
    assert rule.of_items(rows[:2], torch.tensor([2, 3])).tolist() == [True, False]
    assert Eligibility(CATALOG, None).below(rows, NODES).all()
    assert Eligibility(CATALOG, None).of_items(rows, NODES).all()


def test_retired_items_are_eligible_for_nobody():
    rows = torch.zeros_like(NODES)
    retired = CATALOG.with_retired(["1", "3"])  # all of the leaf (2 3)
    below = [True, True, True, True, False, True]
    assert Eligibility(retired, None).below(rows, NODES).tolist() == below
    assert Eligibility(retired, None).of_items(rows[:4], NODES[:4]).tolist() == [
        True, False, True, False,
    ]  # fmt: skip
    by_user = torch.tensor([[True, True, False, False]])
    below = [True, False, True, False, False, True]
    assert Eligibility(retired, by_user).below(rows, NODES).tolist() == below
