"""What to do where a quantizer gives several items the same codes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int32, Int64, Integer

from beamwise.tokenization.quantizers.balanced_assignment import rank_in_group, stable_matching
from beamwise.tokenization.quantizers.residual_codebooks import blocks

CollisionMethod = Literal["suffix", "reassign", "share"]

LastLevelDistances = Callable[[Int64[np.ndarray, " rows"]], Float[np.ndarray, "rows codebook_size"]]
"""Distances of these rows of `codes` to every code of the last level, as
`Quantizer.last_level_distances` gives them."""


class CrowdedIdError(ValueError):
    """More items have equal codes than an extra level can number; the caller knows the fix."""


class Resolution(NamedTuple):
    """Codes after collisions were dealt with."""

    codes: Int32[np.ndarray, "items levels"]
    num_moved: int
    """Items whose codes are not those that they came with (`suffix`: that got a number above 0)."""
    num_colliding: int
    """Items that still share all codes with another one, new or taken."""


def resolve(
    codes: Integer[np.ndarray, "items levels"],
    method: CollisionMethod,
    codebook_size: int,
    last_level_distances: LastLevelDistances | None = None,
    taken: Integer[np.ndarray, "taken taken_levels"] | None = None,
) -> Resolution:
    """Deal with items that have equal codes.

    - `suffix`: every item gets one more level, its number among the items with its codes, in their
      order, after the highest of those `taken`. All items get different codes.
    - `reassign`: where several items have the same codes, the nearest one keeps them. The others
      move to codes of the last level that no item has under the same earlier codes, by a stable
      matching on distance; a code that does not exist (infinite distance) is taken only where no
      other is free, for it is a token like any other. Where all `codebook_size` codes are used,
      the remaining items share theirs.
    - `share`: codes stay as they are.

    Other items and those `taken` never move. Another order of items gives `share` and `reassign`
    the same codes for each item, if no two distances are equal (the earlier item and the lower code
    go first where they are); `suffix` numbers by order.

    Args:
        codes: One row a new item, each code in 0..codebook_size-1.
        method: One of the three.
        codebook_size: Codes that a level may have.
        last_level_distances: Needed for `reassign` only.
        taken: Codes of items that are in the catalog already; for `suffix` with the extra level.

    Raises:
        ValueError: If a code is out of range, the levels of `taken` do not fit, `reassign` lacks
            distances.
        CrowdedIdError: If for `suffix` more items have equal codes than a level can number.
    """
    num_levels = codes.shape[1] + (method == "suffix")
    if taken is None:
        taken = np.empty((0, num_levels), np.int32)
    _check(codes, taken, codebook_size, num_levels)
    resolved = codes.astype(np.int32)
    if method == "suffix":
        resolved = _with_suffix(resolved, taken.astype(np.int32), codebook_size)
        return Resolution(resolved, int((resolved[:, -1] > 0).sum()), 0)
    if method == "reassign":
        if last_level_distances is None:
            raise ValueError(
                "reassign needs the quantizer's last_level_distances: "
                "give them, or choose suffix or share"
            )
        resolved = _reassigned(resolved, taken, codebook_size, last_level_distances)
    moved = int((resolved != codes).any(1).sum())
    return Resolution(resolved, moved, int(_shares(resolved, taken).sum()))


def _check(codes: np.ndarray, taken: np.ndarray, codebook_size: int, num_levels: int) -> None:
    if taken.shape[1] != num_levels:
        raise ValueError(
            f"taken items have {taken.shape[1]} codes, new ones would have {num_levels}: "
            "deal with collisions as when the catalog was made"
        )
    for name, array in (("codes", codes), ("taken", taken)):
        outside = (array < 0) | (array >= codebook_size)
        if outside.any():
            row, level = (int(i[0]) for i in outside.nonzero())
            raise ValueError(
                f"{name}, row {row}, level {level}: code {array[row, level]} is outside "
                f"0..{codebook_size - 1}: raise codebook_size or fix the code"
            )


def _with_suffix(
    codes: Int32[np.ndarray, "items levels"],
    taken: Int32[np.ndarray, "taken levels_and_one"],
    codebook_size: int,
) -> Int32[np.ndarray, "items levels_and_one"]:
    groups, num_groups = _groups(np.concatenate([taken[:, :-1], codes]))
    of_taken, of_new = groups[: len(taken)], groups[len(taken) :]
    next_number = np.zeros(num_groups, np.int64)
    np.maximum.at(next_number, of_taken, taken[:, -1] + 1)
    order = np.argsort(of_new, kind="stable")
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = rank_in_group(of_new[order])
    numbers += next_number[of_new]
    if len(numbers) and numbers.max() >= codebook_size:
        worst = int(numbers.argmax())
        raise CrowdedIdError(
            f"{numbers[worst] + 1} items have the codes {tuple(codes[worst].tolist())}, an extra "
            f"level numbers at most codebook_size={codebook_size}"
        )
    return np.concatenate([codes, numbers[:, None].astype(np.int32)], axis=1)


def _reassigned(
    codes: Int32[np.ndarray, "items levels"],
    taken: Integer[np.ndarray, "taken levels"],
    codebook_size: int,
    last_level_distances: LastLevelDistances,
) -> Int32[np.ndarray, "items levels"]:
    """Codes after the move of all items that are not the nearest to theirs."""
    moving = _movers(codes, taken, codebook_size, last_level_distances)
    if len(moving) == 0:
        return codes
    prefixes, _ = _groups(np.concatenate([codes[:, :-1], taken[:, :-1]]))
    last = np.concatenate([codes[:, -1], taken[:, -1]])
    moving = moving[np.argsort(prefixes[moving], kind="stable")]
    resolved = codes.copy()
    for part in _whole_groups(prefixes[moving], codebook_size):
        rows = moving[part]
        crowded, local = np.unique(prefixes[rows], return_inverse=True)
        place = np.minimum(np.searchsorted(crowded, prefixes), len(crowded) - 1)
        here = crowded[place] == prefixes
        used = np.zeros((len(crowded), codebook_size), bool)
        used[place[here], last[here]] = True
        new = _moves(last_level_distances(rows), local, used)
        resolved[rows[new >= 0], -1] = new[new >= 0]
    return resolved


def _movers(
    codes: Int32[np.ndarray, "items levels"],
    taken: Integer[np.ndarray, "taken levels"],
    codebook_size: int,
    last_level_distances: LastLevelDistances,
) -> Int64[np.ndarray, " movers"]:
    """Rows whose codes a taken item has, or a new one that is nearer (the earlier of equals)."""
    groups, num_groups = _groups(np.concatenate([codes, taken]))
    of_new = groups[: len(codes)]
    blocked = np.zeros(num_groups, bool)
    blocked[groups[len(codes) :]] = True
    crowded = np.bincount(of_new, minlength=num_groups) > 1
    rows = np.flatnonzero((crowded | blocked)[of_new])
    own = np.empty(len(rows))
    for part in blocks(len(rows), codebook_size):
        distances = last_level_distances(rows[part])
        own[part] = distances[np.arange(len(distances)), codes[rows[part], -1]]
    rows = rows[np.lexsort((own, of_new[rows]))]
    first = rank_in_group(of_new[rows]) == 0
    return np.sort(rows[~first | blocked[of_new[rows]]])


def _moves(
    distances: Float[np.ndarray, "movers codebook_size"],
    prefix: Int64[np.ndarray, " movers"],
    used: Bool[np.ndarray, "prefixes codebook_size"],
) -> Int32[np.ndarray, " movers"]:
    """A free code for every mover by a stable matching below its prefix, -1 where none is left."""
    num_prefixes, codebook_size = used.shape
    barred = used[prefix]
    # Free codes by distance, then those that do not exist (infinite), then the used ones.
    nearest_first = np.argsort(distances, axis=1, kind="stable")
    free_first = np.argsort(np.take_along_axis(barred, nearest_first, 1), axis=1, kind="stable")
    order = np.take_along_axis(nearest_first, free_first, 1)

    def pair_distances(
        movers: Int64[np.ndarray, " pairs"], places: Int64[np.ndarray, " pairs"]
    ) -> Float[np.ndarray, " pairs"]:
        return distances[movers, places % codebook_size]

    # A code below a prefix is a place of its own, so all prefixes are matched at once.
    places = stable_matching(
        order + prefix[:, None] * codebook_size,
        pair_distances,
        capacity=1,
        num_codes=num_prefixes * codebook_size,
        num_choices=(~barred).sum(1),
    )
    return np.where(places >= 0, places % codebook_size, -1).astype(np.int32)


def _whole_groups(groups: Int64[np.ndarray, " sorted"], row_elements: int) -> list[slice]:
    """Slices of at most two blocks, but for a larger group, that do not divide a group."""
    starts = np.flatnonzero(rank_in_group(groups) == 0)
    limits = [part.stop for part in blocks(len(groups), row_elements)][:-1]
    last_starts = starts[np.searchsorted(starts, limits, side="right") - 1]
    cuts = np.unique(np.concatenate([[0], last_starts, [len(groups)]]))
    return [slice(int(a), int(b)) for a, b in pairwise(cuts)]


def _groups(
    codes: Integer[np.ndarray, "items levels"],
) -> tuple[Int64[np.ndarray, " items"], int]:
    """A number for each distinct row, in lexicographic order, and how many there are."""
    order = np.lexsort(codes.T[::-1]) if codes.shape[1] else np.arange(len(codes))
    ordered = codes[order]
    begins = np.ones(len(codes), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(1)
    if codes.shape[1] == 0:
        begins[1:] = False
    groups = np.empty(len(codes), np.int64)
    groups[order] = np.cumsum(begins) - 1
    return groups, int(begins.sum())


def _shares(
    codes: Int32[np.ndarray, "items levels"], taken: Integer[np.ndarray, "taken levels"]
) -> Bool[np.ndarray, " items"]:
    """Whether another item, new or taken, has the same codes."""
    groups, num_groups = _groups(np.concatenate([codes, taken]))
    return np.bincount(groups, minlength=num_groups)[groups[: len(codes)]] > 1
