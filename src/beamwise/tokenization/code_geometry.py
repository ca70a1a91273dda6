"""What codes keep of the item vectors: variance explained, and neighbours with equal prefixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from beamwise.tokenization.code_use import Partition

BLOCK_COLUMNS = 32
"""Dimensions that are summed in float64 at a time: bounds the memory, changes nothing."""


@dataclass(frozen=True)
class VarianceLeft:
    """Shares of the vectors' variance that codes up to a level leave unexplained, 0..1."""

    error: float
    """After the mean residual of each code is taken off, level by level."""
    error_by_chance: float
    """What `error` is expected to be if every level's codes are dealt to the items at random."""
    within_prefix: float
    """Within the groups of items with equal prefix; never above `error`."""
    within_prefix_by_chance: float
    """What `within_prefix` is expected to be if the IDs are dealt to the items at random."""


@dataclass(frozen=True)
class PrefixSharing:
    """How often items have equal prefixes of one length."""

    neighbours: float
    """Share of the probes' nearest neighbours that have the probe's prefix."""
    at_most: float
    """What `neighbours` would be if every prefix held the nearest items: one of n items has
    room for n - 1 neighbours."""
    random_pairs: float
    """The same share of all pairs of items, counted, not sampled."""
    cosine_with_equal_prefix: float | None
    """Mean cosine of the pairs of items with equal prefix; None where there is none."""

    @property
    def lift(self) -> float | None:
        """Neighbours' share divided by that of random pairs; None where no pair shares."""
        return self.neighbours / self.random_pairs if self.random_pairs > 0 else None


@dataclass(frozen=True)
class Neighbourhood:
    """Whether neighbours in the space of the vectors share prefixes."""

    num_items: int
    """Items with a vector that is not zero; only these are compared."""
    num_probes: int
    """Items whose neighbours were looked up."""
    num_neighbours: int
    """Neighbours of each probe."""
    cosine_of_all_pairs: float
    """Mean cosine of two different items."""
    lengths: tuple[PrefixSharing, ...]
    """For prefixes of length 1, 2, ..."""


def variance_left(
    vectors: Float32[np.ndarray, "items dim"],
    codes: Int32[np.ndarray, "items levels"],
    prefixes: Sequence[Partition],
) -> tuple[VarianceLeft, ...] | None:
    """How much of the vectors is left after each level, whatever made the codes.

    With r_0 = v - mean(v) and c_l an item's code at level l (arXiv:2305.05065 quantises residuals
    in this way, with learned vectors in the place of the means):

        r_l = r_{l-1} - mean of r_{l-1} over all items with the same c_l
        error_l = sum_items |r_l|^2 / sum_items |r_0|^2
        within_prefix_l = sum_items |r_0 - mean of r_0 over items with equal c_1..c_l|^2 / same

    A code means the same below every prefix in `error`, so it judges the codes as a residual
    quantiser; `within_prefix` judges the groups, which may also be any tree. Groups of few items
    explain much by chance: n items dealt at random to g groups leave (n - g) / (n - 1).

    Args:
        vectors: A row an item.
        codes: Every item's meaningful codes.
        prefixes: The items in groups of equal prefix, for every length.

    Returns:
        One entry a level; None where all vectors are equal, for then there is no variance.
    """
    levels = [Partition.of(codes[:, level]) for level in range(codes.shape[1])]
    total = 0.0
    left = np.zeros((len(levels), 2))
    for centred in _centred_blocks(vectors):
        total += _squares(centred)
        residual = centred
        for level, (code, prefix) in enumerate(zip(levels, prefixes, strict=True)):
            residual = _without_means(residual, code)
            left[level] += _squares(residual), _squares(_without_means(centred, prefix))
    if total == 0:
        return None
    num_items = len(vectors)
    by_chance = np.cumprod([_left_by_chance(num_items, len(code.sizes)) for code in levels])
    return tuple(
        VarianceLeft(
            error=float(error / total),
            error_by_chance=float(chance),
            within_prefix=float(within / total),
            within_prefix_by_chance=_left_by_chance(num_items, len(prefix.sizes)),
        )
        for (error, within), chance, prefix in zip(left, by_chance, prefixes, strict=True)
    )


def _centred_blocks(
    vectors: Float32[np.ndarray, "items dim"],
) -> Iterator[Float64[np.ndarray, "items block"]]:
    for start in range(0, vectors.shape[1], BLOCK_COLUMNS):
        block = vectors[:, start : start + BLOCK_COLUMNS].astype(np.float64)
        # Equal vectors leave exactly nothing: a float64 sums up to 2^29 equal float32 exactly.
        yield block - block.mean(axis=0)


def _without_means(
    values: Float64[np.ndarray, "items dim"], partition: Partition
) -> Float64[np.ndarray, "items dim"]:
    means = partition.sums(values) / partition.sizes[:, None]
    return values - means[partition.group]


def _squares(values: Float64[np.ndarray, "items dim"]) -> float:
    return float(np.vdot(values, values))


def _left_by_chance(num_items: int, num_groups: int) -> float:
    return (num_items - num_groups) / (num_items - 1)


def vector_lengths(vectors: Float32[np.ndarray, "items dim"]) -> Float64[np.ndarray, " items"]:
    """Euclidean length of every vector, summed in float64 so that short ones are not lost."""
    return np.sqrt(np.einsum("id,id->i", vectors, vectors, dtype=np.float64))


def prefix_sharing(
    vectors: Float32[np.ndarray, "items dim"],
    prefixes: Sequence[Partition],
    *,
    num_neighbours: int,
    num_probes: int,
    seed: int,
) -> Neighbourhood | None:
    """Compare how often nearest neighbours and random pairs have equal prefixes.

    Similarity is the cosine; items with zero vectors, which have none, are left out. Probes are
    drawn without replacement; their neighbours are exact, those at equal distance in any order.
    Mean cosines are exact over all pairs: with S_g the sum of the n_g unit vectors of a group,

        mean = sum_g (|S_g|^2 - n_g) / sum_g n_g (n_g - 1)

    Returns:
        None where fewer than two items have a vector that is not zero.
    """
    lengths = vector_lengths(vectors)
    usable = np.flatnonzero(lengths)
    if len(usable) < 2:
        return None
    units = vectors[usable]
    units /= lengths[usable, None]
    groups = [Partition.of(prefix.group[usable]) for prefix in prefixes]
    probes = _draw(len(units), num_probes, seed)
    neighbours = nearest(units, probes, min(num_neighbours, len(units) - 1))
    everything = Partition.of(np.zeros(len(units), dtype=np.int64))
    of_all_pairs, *cosines = mean_cosines(units, [everything, *groups])
    assert of_all_pairs is not None
    sharing = tuple(
        _sharing(each, probes, neighbours, each.equal_pairs() / everything.equal_pairs(), cosine)
        for each, cosine in zip(groups, cosines, strict=True)
    )
    return Neighbourhood(
        len(units), len(probes), neighbours.shape[1], of_all_pairs, lengths=sharing
    )


def _sharing(
    items: Partition,
    probes: Int64[np.ndarray, " probes"],
    neighbours: Int64[np.ndarray, "probes neighbours"],
    random_pairs: float,
    cosine: float | None,
) -> PrefixSharing:
    own = items.group[probes]
    room = np.minimum(items.sizes[own] - 1, neighbours.shape[1])
    return PrefixSharing(
        neighbours=float((items.group[neighbours] == own[:, None]).mean()),
        at_most=float(room.mean() / neighbours.shape[1]),
        random_pairs=random_pairs,
        cosine_with_equal_prefix=cosine,
    )


def _draw(num_items: int, num_probes: int, seed: int) -> Int64[np.ndarray, " probes"]:
    if num_items <= num_probes:
        return np.arange(num_items)
    drawn = np.random.default_rng(seed).choice(num_items, num_probes, replace=False)
    return np.sort(drawn).astype(np.int64)


def nearest(
    units: Float32[np.ndarray, "items dim"], probes: Int64[np.ndarray, " probes"], num: int
) -> Int64[np.ndarray, "probes num"]:
    """The `num` items with the largest inner product with each probe, the probe left out."""
    import faiss  # loads a library of linear algebra

    units = np.ascontiguousarray(units)
    _, found = faiss.knn(units[probes], units, num + 1, metric=faiss.METRIC_INNER_PRODUCT)
    # The probe is among the first, but need not be where others have the same vector.
    is_probe = found == probes[:, None]
    order = np.argsort(is_probe, axis=1, kind="stable")[:, :num]
    return np.take_along_axis(found, order, axis=1)


def mean_cosines(
    units: Float32[np.ndarray, "items dim"], partitions: Sequence[Partition]
) -> list[float | None]:
    """Mean cosine over the pairs of each partition's groups; None where all items are alone."""
    sums = np.zeros(len(partitions))
    itself = 0.0
    for start in range(0, units.shape[1], BLOCK_COLUMNS):
        block = units[:, start : start + BLOCK_COLUMNS].astype(np.float64)
        itself += _squares(block)
        sums += [_squares(partition.sums(block)) for partition in partitions]
    pairs = [partition.equal_pairs() for partition in partitions]
    return [
        float((total - itself) / count) if count else None
        for total, count in zip(sums, pairs, strict=True)
    ]
