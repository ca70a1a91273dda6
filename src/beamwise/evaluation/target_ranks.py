"""The rank of each target where every item has a score and most scores are 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, Integer
from scipy.sparse import csr_array


class TargetRanks(NamedTuple):
    """Ranks from 1; -1 where the target is retired."""

    leaf_ranks: Int64[np.ndarray, " batch"]
    """Of the target's leaf among all distinct leaves, each at its best item."""
    item_ranks: Int64[np.ndarray, " batch"]
    """Of the target among all items."""


class ItemOrder:
    """How items of equal score are ordered, and the leaves of a catalog with them."""

    def __init__(
        self,
        places: Int64[np.ndarray, " items"],
        leaf_of_item: Integer[np.ndarray, " items"],
        retired: Bool[np.ndarray, " items"] | None = None,
    ) -> None:
        """Order the leaves by their first item that is not retired.

        Args:
            places: Each item's place in the order, a permutation of 0..items-1.
            leaf_of_item: The leaf of each item; every leaf has one.
            retired: Items that are not ranked; None where all are.
        """
        self.retired = np.zeros(len(places), bool) if retired is None else retired
        # Behind all others, retired items are before nobody.
        self.item_places: Int64[np.ndarray, " items"] = np.empty_like(places)
        self.item_places[np.lexsort((places, self.retired))] = np.arange(len(places))
        self.leaf_of_item = leaf_of_item.astype(np.int64)
        first = np.full(int(leaf_of_item.max()) + 1, len(places), dtype=np.int64)
        np.minimum.at(first, leaf_of_item, self.item_places)
        self.leaf_places: Int64[np.ndarray, " leaves"] = np.argsort(np.argsort(first))


@dataclass(frozen=True, eq=False)
class _Entries:
    """What has a score above 0: items or leaves."""

    rows: np.ndarray
    units: np.ndarray
    scores: np.ndarray
    places: np.ndarray


def target_ranks(
    scores: csr_array, targets: Int64[np.ndarray, " batch"], order: ItemOrder
) -> TargetRanks:
    """Rank each row's target without forming the scores that are 0.

    Args:
        scores: `(batch, items)`; what is stored is above 0, what is not stored is 0.
        targets: The item to rank in each row.
        order: Decides among equal scores, and which items are not ranked. A leaf stands where the
            best of its items stands.
    """
    ranked = ~order.retired[scores.indices]
    rows = np.repeat(np.arange(len(targets)), np.diff(scores.indptr))[ranked]
    units = scores.indices[ranked].astype(np.int64)
    items = _Entries(rows, units, scores.data[ranked], order.item_places[units])
    leaves = _leaves_at_their_best(items, order)
    leaf_ranks = _ranks(leaves, order.leaf_of_item[targets], order.leaf_places)
    item_ranks = _ranks(items, targets, order.item_places)
    is_retired = order.retired[targets]
    return TargetRanks(np.where(is_retired, -1, leaf_ranks), np.where(is_retired, -1, item_ranks))


def _leaves_at_their_best(items: _Entries, order: ItemOrder) -> _Entries:
    leaves = order.leaf_of_item[items.units]
    owners = items.rows * len(order.leaf_places) + leaves
    best_first = np.lexsort((items.places, -items.scores, owners))
    is_first = np.diff(owners[best_first], prepend=-1) != 0
    best = best_first[is_first]
    return _Entries(items.rows[best], leaves[best], items.scores[best], items.places[best])


def _ranks(
    entries: _Entries, targets: Int64[np.ndarray, " batch"], places: Int64[np.ndarray, " units"]
) -> Int64[np.ndarray, " batch"]:
    """1 + what is before each target; units without an entry come last, by `places`."""
    rows, batch = entries.rows, len(targets)
    own = entries.units == targets[rows]
    score = np.zeros(batch, dtype=entries.scores.dtype)
    score[rows[own]] = entries.scores[own]
    place = np.zeros(batch, dtype=np.int64)
    place[rows[own]] = entries.places[own]
    equal = (entries.scores == score[rows]) & (entries.places < place[rows])
    before = np.bincount(rows[(entries.scores > score[rows]) | equal], minlength=batch)
    listed = np.bincount(rows[places[entries.units] < places[targets[rows]]], minlength=batch)
    before = np.where(score > 0, before, before + places[targets] - listed)
    return before.astype(np.int64) + 1
