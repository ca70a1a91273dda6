"""Codes that hold equally many items: a stable matching of items and codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int32, Int64, Integer

from beamwise.tokenization.quantizers.residual_codebooks import (
    blocks,
    cluster_means,
    squared_distances,
)

BALANCED_ROUNDS = 10
"""Rounds of balanced k-means: on Office the error fell by a quarter in 10, and no more after."""

PairDistances = Callable[[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]], np.ndarray]
"""Distances between items and codes, pair by pair."""


def balanced_assignment(
    vectors: Float32[np.ndarray, "items dim"], centroids: Float32[np.ndarray, "codes dim"]
) -> Int32[np.ndarray, " items"]:
    """The code of every item, where no code holds more than ceil(items / codes) of them.

    Every item has the nearest code that would not rather hold its other items: `stable_matching`
    by squared distance. Of codes equally near the lower number is preferred, of items equally near
    the earlier. Holds one or two bytes for each pair of item and code.
    """
    num_items, num_codes = len(vectors), len(centroids)
    preferences = np.empty((num_items, num_codes), np.min_scalar_type(num_codes - 1))
    for rows in blocks(num_items, num_codes):
        distances = squared_distances(vectors[rows], centroids)
        preferences[rows] = np.argsort(distances, axis=1, kind="stable")

    def pair_distances(
        items: Int64[np.ndarray, " pairs"], codes: Int64[np.ndarray, " pairs"]
    ) -> Float32[np.ndarray, " pairs"]:
        parts = [
            np.square(vectors[items[pairs]] - centroids[codes[pairs]]).sum(1)
            for pairs in blocks(len(items), vectors.shape[1])
        ]
        return np.concatenate(parts)

    return stable_matching(preferences, pair_distances, -(-num_items // num_codes), num_codes)


def balanced_means(
    vectors: Float32[np.ndarray, "items dim"],
    centroids: Float32[np.ndarray, "codes dim"],
    rounds: int = BALANCED_ROUNDS,
) -> tuple[Float32[np.ndarray, "codes dim"], Int32[np.ndarray, " items"]]:
    """Balanced k-means: `rounds` times a balanced assignment, then every code to its items' mean.

    A code without items stays where it is. The centroids returned are the means of the codes
    returned, so residuals are those of the items that a code really has.
    """
    codes = np.zeros(len(vectors), np.int32)
    for _ in range(rounds):
        codes = balanced_assignment(vectors, centroids)
        centroids = cluster_means(vectors, codes, centroids)
    return centroids, codes


def stable_matching(
    preferences: Integer[np.ndarray, "items choices"],
    pair_distances: PairDistances,
    capacity: int,
    num_codes: int,
    num_choices: Int64[np.ndarray, " items"] | None = None,
) -> Int32[np.ndarray, " items"]:
    """Deferred acceptance (Gale and Shapley, 1962): no item and code would both rather change.

    In rounds, every item without a code asks the next code on its list, and every code keeps the
    nearest `capacity` of those that it has and that ask, the earlier item where equally near. The
    result does not depend on the order of asking, and no stable matching is better for any item.

    Args:
        preferences: Codes in the order in which each item asks them.
        pair_distances: By what codes choose.
        capacity: Items a code holds at most.
        num_codes: One past the highest code.
        num_choices: How many of its preferences each item asks; all where None.

    Returns:
        Each item's code, -1 where all that it asked are full of nearer items.
    """
    num_items, longest = preferences.shape
    limits = np.full(num_items, longest) if num_choices is None else num_choices
    matching = _Matching(num_items, num_codes, capacity)
    asked = np.zeros(num_items, np.int64)
    asking = np.flatnonzero(limits > 0)
    while len(asking):
        wanted = preferences[asking, asked[asking]].astype(np.int64)
        asked[asking] += 1
        refused = matching.ask(asking, wanted, pair_distances(asking, wanted))
        asking = refused[asked[refused] < limits[refused]]
    return matching.codes


class _Matching:
    """Which items every code holds so far."""

    def __init__(self, num_items: int, num_codes: int, capacity: int) -> None:
        self.codes = np.full(num_items, -1, np.int32)
        self._distances = np.zeros(num_items)
        self._capacity = capacity
        self._load = np.zeros(num_codes, np.int64)
        # The farthest item of a code that has refused one: what an asking item must be nearer than.
        self._worst_distance = np.full(num_codes, np.inf)
        self._worst_item = np.full(num_codes, num_items)

    def ask(
        self,
        items: Int64[np.ndarray, " asking"],
        codes: Int64[np.ndarray, " asking"],
        distances: np.ndarray,
    ) -> Int64[np.ndarray, " refused"]:
        """Give each item its code where that has room or an item farther; who is left without."""
        worst, holder = self._worst_distance[codes], self._worst_item[codes]
        wanted = (distances < worst) | ((distances == worst) & (items < holder))
        self.codes[items[wanted]] = codes[wanted]
        self._distances[items[wanted]] = distances[wanted]
        self._load += np.bincount(codes[wanted], minlength=len(self._load))
        dropped = self._drop(self._load > self._capacity)
        return np.concatenate([items[~wanted], dropped])

    def _drop(self, overfull: np.ndarray) -> Int64[np.ndarray, " refused"]:
        """Take from overfull codes the items beyond each code's nearest `capacity`."""
        rivals = np.flatnonzero(overfull[self.codes] & (self.codes >= 0))
        # Stable: of items equally near, the earlier goes before.
        rivals = rivals[np.lexsort((self._distances[rivals], self.codes[rivals]))]
        ranks = rank_in_group(self.codes[rivals])
        last = rivals[ranks == self._capacity - 1]
        self._worst_distance[self.codes[last]] = self._distances[last]
        self._worst_item[self.codes[last]] = last
        dropped = rivals[ranks >= self._capacity]
        self.codes[dropped] = -1
        np.minimum(self._load, self._capacity, out=self._load)
        return dropped


def rank_in_group(keys: Integer[np.ndarray, " sorted"]) -> Int64[np.ndarray, " sorted"]:
    """Position of each entry within its run of equal keys, from 0."""
    positions = np.arange(len(keys))
    starts = np.ones(len(keys), bool)
    starts[1:] = keys[1:] != keys[:-1]
    return positions - np.maximum.accumulate(np.where(starts, positions, 0))
