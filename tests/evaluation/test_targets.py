"""Targets are checked against the catalog, and retired items counted nowhere."""

from __future__ import annotations

import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.evaluation.targets import are_retired, leaf_sizes, targets_in
from beamwise.testing.survival_example import random_windows

CODES = torch.tensor([[0, 0], [0, 1], [0, 0], [1, 0]])  # leaves 00 of items 0 and 2, 01, 10
CATALOG = Catalog.from_codes(CODES, codebook_size=2)


def test_targets_are_those_of_the_windows():
    windows, rows = random_windows(4, 9), torch.tensor([5, 2])
    assert targets_in(CATALOG, windows, rows).equal(windows.targets(rows))


def test_a_target_outside_the_catalog_is_refused():
    windows = random_windows(90, 9)
    with pytest.raises(ValueError, match=r"items 0..3: use the catalog that the windows"):
        targets_in(CATALOG, windows, torch.arange(9))


def test_without_retired_items():
    assert leaf_sizes(CATALOG).tolist() == [2, 1, 1]
    assert are_retired(CATALOG, torch.tensor([3, 0])).tolist() == [False, False]


def test_retired_items_are_not_counted():
    catalog = CATALOG.with_retired(["2", "3"])
    assert leaf_sizes(catalog).tolist() == [1, 1, 0]
    assert are_retired(catalog, torch.tensor([3, 0, 2])).tolist() == [True, False, True]
