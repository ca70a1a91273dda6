"""Which items may be recommended, and below which prefixes one of them remains."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.catalog import Catalog


@dataclass(frozen=True, eq=False)
class ListedItems:
    """Items named by user: the form of eligibility whose size does not grow with the catalog.

    `ListedItems(histories, only=False)` is "never those already bought". It may stand wherever a
    bool mask by user may.
    """

    items: Int64[Tensor, "batch listed"] | Tensor
    """Item indices, in any order and any number of times; -1 is padding wherever it stands."""
    only: bool
    """True: only these may be returned. False: all but these."""

    @property
    def ndim(self) -> int:
        """2, as of a mask by user."""
        return self.items.ndim

    def __getitem__(self, users: Int64[Tensor, " users"]) -> ListedItems:
        """The lists of these users."""
        return ListedItems(self.items[users], self.only)


def eligible_of(
    eligible: Tensor | ListedItems | None, users: Int64[Tensor, " users"]
) -> Tensor | ListedItems | None:
    """What is eligible for some of the users, in the form in which it is given for all."""
    return eligible if eligible is None or eligible.ndim == 1 else eligible[users]


class Eligibility:
    """Eligible items of a batch of users, counted in the order of the leaves.

    Items that the catalog has retired are eligible for nobody. The items below a node are one range
    of that order, so two look-ups count the eligible ones.
    """

    def __init__(
        self,
        catalog: Catalog,
        eligible: Bool[Tensor, " items"] | Bool[Tensor, "batch items"] | ListedItems | None,
    ) -> None:
        self._catalog = catalog
        self._listed: _Listed | None = None
        if isinstance(eligible, ListedItems):
            self._listed = _Listed(catalog, eligible)
            eligible = None
        if catalog.retired is not None:
            eligible = ~catalog.retired if eligible is None else eligible & ~catalog.retired
        self._by_item = eligible
        if eligible is not None:
            running = eligible[..., catalog.leaf_items.long()].cumsum(-1, dtype=torch.int32)
            self._before = torch.nn.functional.pad(running, (1, 0))

    def of_rows(self, rows: Int64[Tensor, " rows"]) -> Eligibility:
        """That of some of the users, in this order; what is the same for all is not made again."""
        some = copy(self)
        if self._listed is not None:
            some._listed = self._listed.of_rows(rows)
        if self._by_item is not None and self._by_item.ndim == 2:
            some._by_item, some._before = self._by_item[rows], self._before[rows]
        return some

    @property
    def is_everything(self) -> bool:
        """Whether every item is eligible for every user."""
        return self._by_item is None and self._listed is None

    def below(
        self, rows: Int64[Tensor, " asked"], nodes: Int64[Tensor, " asked"]
    ) -> Bool[Tensor, " asked"]:
        """Whether an item below each node is eligible for the user of its row."""
        if self.is_everything:
            return torch.ones_like(nodes, dtype=torch.bool)
        listed = self._listed
        if listed is None:
            return self._num_unlisted_below(rows, nodes) > 0
        if listed.only:
            return listed.num_below(rows, nodes) > 0
        return self._num_unlisted_below(rows, nodes) > listed.num_below(rows, nodes)

    def of_items(
        self, rows: Int64[Tensor, " asked"], items: Int64[Tensor, " asked"]
    ) -> Bool[Tensor, " asked"]:
        """Whether each item is eligible for the user of its row."""
        if self._by_item is None:
            allowed = torch.ones_like(items, dtype=torch.bool)
        else:
            allowed = (
                self._by_item[items] if self._by_item.ndim == 1 else self._by_item[rows, items]
            )
        if self._listed is None:
            return allowed
        return allowed & (self._listed.has(rows, items) == self._listed.only)

    def _num_unlisted_below(
        self, rows: Int64[Tensor, " asked"], nodes: Int64[Tensor, " asked"]
    ) -> Int64[Tensor, " asked"]:
        """Items below each node that are eligible but for lists."""
        catalog = self._catalog
        if self._by_item is None:
            return catalog.num_items_below(nodes)
        first = catalog.leaf_item_start[catalog.leaf_start[nodes].long()].long()
        stop = catalog.leaf_item_start[catalog.leaf_stop[nodes].long()].long()
        if self._before.ndim == 1:
            return (self._before[stop] - self._before[first]).long()
        return (self._before[rows, stop] - self._before[rows, first]).long()


class _Listed:
    """Each user's list as sorted keys of (row, item) and (row, leaf): memory of the lists alone."""

    def __init__(self, catalog: Catalog, listed: ListedItems) -> None:
        self.only = listed.only
        self._catalog = catalog
        self._source = listed
        rows, columns = (listed.items >= 0).nonzero(as_tuple=True)
        items = listed.items[rows, columns]
        if catalog.retired is not None:  # eligible for nobody, listed or not
            counts = ~catalog.retired[items]
            rows, items = rows[counts], items[counts]
        self._items = (rows * catalog.num_items + items).unique()
        rows, items = self._items // catalog.num_items, self._items % catalog.num_items
        leaves = catalog.leaf_of_item[items].long()
        self._leaves = (rows * catalog.num_leaves + leaves).sort().values

    def of_rows(self, rows: Int64[Tensor, " rows"]) -> _Listed:
        """The lists of some of the users."""
        return _Listed(self._catalog, self._source[rows])

    def num_below(
        self, rows: Int64[Tensor, " asked"], nodes: Int64[Tensor, " asked"]
    ) -> Int64[Tensor, " asked"]:
        """Listed items below each node."""
        start = rows * self._catalog.num_leaves
        first, stop = (
            torch.searchsorted(self._leaves, start + ends[nodes])
            for ends in (self._catalog.leaf_start, self._catalog.leaf_stop)
        )
        return stop - first

    def has(
        self, rows: Int64[Tensor, " asked"], items: Int64[Tensor, " asked"]
    ) -> Bool[Tensor, " asked"]:
        """Whether each item is listed for the user of its row."""
        keys = rows * self._catalog.num_items + items
        return torch.isin(keys, self._items)
