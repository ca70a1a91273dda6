"""How evenly items use the codes of each level, and how many items end up with equal IDs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64


@dataclass(frozen=True, eq=False)
class Partition:
    """Items in disjoint groups.

    Args:
        group: The group of every item, 0..groups-1.
        sizes: Items of each group, all >= 1.
    """

    group: Int64[np.ndarray, " items"]
    sizes: Int64[np.ndarray, " groups"]

    @classmethod
    def of(cls, keys: np.ndarray) -> Partition:
        """Items with equal keys are one group; groups are numbered in the order of their keys."""
        _, group, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        return cls(group.astype(np.int64), sizes.astype(np.int64))

    def sums(self, values: Float64[np.ndarray, "items dim"]) -> Float64[np.ndarray, "groups dim"]:
        """The sum of the values of each group's items."""
        from scipy.sparse import csr_array  # a tenth of a second that other commands need not wait

        num_items = len(self.group)
        ones, starts = np.ones(num_items), np.arange(num_items + 1)
        members = csr_array((ones, self.group, starts), shape=(num_items, len(self.sizes)))
        return np.asarray(members.T @ values)

    def equal_pairs(self) -> float:
        """Ordered pairs of two different items of the same group: sum of n (n - 1)."""
        sizes = self.sizes.astype(np.float64)
        return float((sizes * (sizes - 1)).sum())


@dataclass(frozen=True)
class LevelUse:
    """How one level's codes are used."""

    codes_used: int
    """Codes that at least one item has."""
    perplexity: float
    """exp(H) of the use: as many codes, used equally often, would be as hard to guess."""
    most_used_items: int
    """Items of the most used code."""
    distinct_prefixes: int
    """Different first codes up to and with this level."""
    items_by_rank: tuple[int, ...]
    """Items of each used code, the most used first."""


@dataclass(frozen=True)
class CodeUse:
    """The codes of a catalog, counted."""

    num_items: int
    codebook_size: int
    num_meaningful_levels: int
    """Levels before those that only keep items apart."""
    levels: tuple[LevelUse, ...]
    ids_by_size: tuple[tuple[int, int], ...]
    """(items, IDs that so many items have), smallest first."""

    @property
    def distinct_ids(self) -> int:
        """Different IDs."""
        return sum(ids for _, ids in self.ids_by_size)

    @property
    def colliding_items(self) -> int:
        """Items beyond the first of each ID: what is missing to an ID for every item."""
        return self.num_items - self.distinct_ids

    @property
    def sharing_items(self) -> int:
        """Items whose ID another item has too."""
        return sum(size * ids for size, ids in self.ids_by_size if size > 1)

    @property
    def largest_group(self) -> int:
        """Items of the ID that most items have."""
        return self.ids_by_size[-1][0]

    @property
    def meaningful_ids(self) -> int:
        """Different IDs when only meaningful levels are read."""
        return self.levels[self.num_meaningful_levels - 1].distinct_prefixes


def prefix_partitions(codes: Int32[np.ndarray, "items levels"]) -> list[Partition]:
    """For every length 1..levels, the items in groups of equal prefix."""
    stride = int(codes.max()) + 1
    partitions: list[Partition] = []
    group = np.zeros(len(codes), dtype=np.int64)
    for level in range(codes.shape[1]):
        partitions.append(Partition.of(group * stride + codes[:, level]))
        group = partitions[-1].group
    return partitions


def measure_code_use(
    codes: Int32[np.ndarray, "items levels"],
    prefixes: Sequence[Partition],
    codebook_size: int,
    num_meaningful_levels: int,
) -> CodeUse:
    """Count what each level's codes are used for.

    Args:
        codes: Every item's ID.
        prefixes: `prefix_partitions(codes)`.
        codebook_size: Codes that a level has to offer.
        num_meaningful_levels: Levels whose codes say something about the item.
    """
    levels = []
    for level, prefix in enumerate(prefixes):
        counts = np.sort(Partition.of(codes[:, level]).sizes)[::-1]
        levels.append(
            LevelUse(
                codes_used=len(counts),
                perplexity=perplexity(counts),
                most_used_items=int(counts[0]),
                distinct_prefixes=len(prefix.sizes),
                items_by_rank=tuple(counts.tolist()),
            )
        )
    sizes, ids = np.unique(prefixes[-1].sizes, return_counts=True)
    by_size = tuple(zip(sizes.tolist(), ids.tolist(), strict=True))
    return CodeUse(len(codes), codebook_size, num_meaningful_levels, tuple(levels), by_size)


def perplexity(counts: Int64[np.ndarray, " codes"]) -> float:
    """The exponential of the entropy of counts >= 1: exp(-sum p log p), p = counts / sum."""
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
