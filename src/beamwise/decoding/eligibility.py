"""Which items may be recommended, and below which prefixes one of them remains."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.catalog import Catalog


class Eligibility:
    """Eligible items of a batch of users, as running counts in the order of the leaves.

    Items that the catalog has retired are eligible for nobody. The items below a node are one range
    of that order, so two look-ups count the eligible ones.
    """

    def __init__(
        self,
        catalog: Catalog,
        eligible: Bool[Tensor, " items"] | Bool[Tensor, "batch items"] | None,
    ) -> None:
        self._catalog = catalog
        if catalog.retired is not None:
            eligible = ~catalog.retired if eligible is None else eligible & ~catalog.retired
        self._by_item = eligible
        if eligible is not None:
            running = eligible[..., catalog.leaf_items.long()].cumsum(-1, dtype=torch.int32)
            self._before = torch.nn.functional.pad(running, (1, 0))

    def below(
        self, rows: Int64[Tensor, " asked"], nodes: Int64[Tensor, " asked"]
    ) -> Bool[Tensor, " asked"]:
        """Whether an item below each node is eligible for the user of its row."""
        if self._by_item is None:
            return torch.ones_like(nodes, dtype=torch.bool)
        catalog = self._catalog
        first = catalog.leaf_item_start[catalog.leaf_start[nodes].long()].long()
        stop = catalog.leaf_item_start[catalog.leaf_stop[nodes].long()].long()
        if self._before.ndim == 1:
            return self._before[stop] > self._before[first]
        return self._before[rows, stop] > self._before[rows, first]

    def of_items(
        self, rows: Int64[Tensor, " asked"], items: Int64[Tensor, " asked"]
    ) -> Bool[Tensor, " asked"]:
        """Whether each item is eligible for the user of its row."""
        if self._by_item is None:
            return torch.ones_like(items, dtype=torch.bool)
        return self._by_item[items] if self._by_item.ndim == 1 else self._by_item[rows, items]
