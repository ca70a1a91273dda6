"""Targets of some windows, and which items of a catalog can still be recommended."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.sequences.windows import Windows


def targets_in(
    catalog: Catalog, windows: Windows, rows: Int64[Tensor, " rows"]
) -> Int64[Tensor, " rows"]:
    """The targets of these windows, as item indices.

    Raises:
        ValueError: If one is not in the catalog.
    """
    targets = windows.targets(rows)
    if int(targets.max()) >= catalog.num_items:
        raise ValueError(
            f"a target has item index {int(targets.max())}, the catalog has items "
            f"0..{catalog.num_items - 1}: use the catalog that the windows were made with"
        )
    return targets


def are_retired(catalog: Catalog, items: Int64[Tensor, " some"]) -> Bool[Tensor, " some"]:
    """Which of these items the catalog has retired, so that no search returns them."""
    if catalog.retired is None:
        return torch.zeros_like(items, dtype=torch.bool)
    return catalog.retired[items]


def leaf_sizes(catalog: Catalog) -> Int64[Tensor, " leaves"]:
    """Items of each leaf that can be recommended: 0 where all are retired."""
    if catalog.retired is None:
        return catalog.leaf_item_start.diff().long()
    kept = catalog.leaf_of_item[~catalog.retired].long()
    return torch.bincount(kept, minlength=catalog.num_leaves)
