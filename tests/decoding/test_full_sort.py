"""Full sort: all leaves in the total order; equality with brute force is beside beam search."""

from __future__ import annotations

import math

import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.decoding import full_sort
from beamwise.testing.table_backbone import TableBackbone

CATALOG = Catalog.from_codes(torch.tensor([[0, 1], [1, 0], [1, 1], [0, 1]]), codebook_size=2)


def test_lists_every_item_once_and_pads():
    result = full_sort(TableBackbone(6, seed=5), torch.tensor([[0], [2]]), CATALOG, top_k=6)
    assert result.exact.all()
    for row in result.items.tolist():
        assert sorted(row[:4]) == [0, 1, 2, 3]
        assert row[4:] == [-1, -1]
    assert (result.leaves[:, 3:] == -1).all()
    assert (result.log_probs[:, :4].diff(dim=1) <= 0).all()


def test_probabilities_of_a_complete_tree_sum_to_one():
    codes = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    catalog = Catalog.from_codes(codes, codebook_size=3)
    result = full_sort(
        TableBackbone(8, seed=2), torch.tensor([[4, 1]]), catalog, top_k=9, mask="before"
    )
    total = result.leaf_log_probs.exp().sum().item()
    assert math.isclose(total, 1.0, rel_tol=1e-12)


def test_refuses_top_k_zero():
    with pytest.raises(ValueError, match="top_k must be >= 1, got 0"):
        full_sort(TableBackbone(6), torch.tensor([[0]]), CATALOG, top_k=0)
