"""Negatives drawn by weight: by popularity in training, or from the other targets of a step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float64, Int64
from torch import Tensor

from beamwise.sequences.negatives import first_of_equals

KEYS_AT_ONCE = 2**22
"""Random keys held at a time, 32 MiB."""


@dataclass(frozen=True)
class Popularity:
    """The leaves that occur, and the running sums of their weights."""

    leaves: Int64[Tensor, " occurring"]
    """Ascending."""
    cumulative: Float64[Tensor, " occurring"]

    @classmethod
    def of(cls, target_leaves: Int64[Tensor, " targets"], exponent: float = 1.0) -> Popularity:
        """Weigh each leaf by (how often it is a target) ** exponent; others are never drawn."""
        leaves, counts = target_leaves.unique(return_counts=True)
        return cls(leaves, counts.double().pow(exponent).cumsum(0))

    @property
    def weights(self) -> Float64[Tensor, " occurring"]:
        """The weight of each leaf."""
        return self.cumulative.diff(prepend=self.cumulative.new_zeros(1))


def sample_popular(
    target_leaves: Int64[Tensor, " batch"],
    popularity: Popularity,
    count: int,
    generator: torch.Generator | None = None,
) -> Int64[Tensor, "batch count"]:
    """Draw `count` distinct leaves other than the target, one after the other by weight.

    Each is drawn in proportion to its weight from the leaves that are neither the target nor drawn
    before (successive sampling).

    Args:
        target_leaves: Leaves of the catalog; they need not occur in `popularity`.
        popularity: Made once from the targets of training.
        count: Negatives a row.
        generator: Source of randomness on the device of `target_leaves`.

    Raises:
        ValueError: If fewer than `count` leaves beside a target occur.
    """
    others = len(popularity.leaves) - 1
    if not 1 <= count <= others:
        raise ValueError(
            f"count={count} negatives must lie in 1..{others}, the leaves beside the target that "
            "training has as targets: lower negatives.count or set negatives.source=uniform"
        )
    # The most that a row can exclude; with half of the weight left, redrawing ends in few rounds.
    heaviest = popularity.weights.topk(count).values.sum()
    if heaviest > popularity.cumulative[-1] / 2:
        return _draw_by_keys(target_leaves, popularity, count, generator)
    return _draw_again(target_leaves, popularity, count, generator)


def sample_in_batch(
    target_leaves: Int64[Tensor, " batch"],
    count: int,
    generator: torch.Generator | None = None,
) -> Int64[Tensor, "batch count"]:
    """Draw up to `count` distinct leaves from the other targets of a step, by how often they occur.

    Args:
        target_leaves: All targets of the step.
        count: Negatives a row.
        generator: Source of randomness on the device of `target_leaves`.

    Returns:
        Leaves as `sample_popular` draws them; -1 where the step has fewer others.
    """
    return _draw_by_keys(target_leaves, Popularity.of(target_leaves), count, generator)


def _draw_again(
    target_leaves: Int64[Tensor, " batch"],
    popularity: Popularity,
    count: int,
    generator: torch.Generator | None,
) -> Int64[Tensor, "batch count"]:
    """Draw all columns at once, and again those that repeat the target or an earlier column.

    Exact: the first holder of a value is never redrawn, so the values held before column j only
    grow as a set, and whatever column j draws changes nothing of that. So column j ends with the
    first of its independent draws outside the final set: a draw by weight from what is left.
    """

    def draw(*shape: int) -> Tensor:
        uniform = torch.rand(
            shape, generator=generator, device=target_leaves.device, dtype=torch.float64
        )
        place = torch.searchsorted(
            popularity.cumulative, uniform * popularity.cumulative[-1], right=True
        )
        return popularity.leaves[place]

    candidates = torch.cat([target_leaves[:, None], draw(len(target_leaves), count)], dim=1)
    pending = torch.arange(len(candidates), device=candidates.device)
    while len(pending):
        repeated = ~first_of_equals(candidates[pending])
        rows, columns = repeated.nonzero(as_tuple=True)
        candidates[pending[rows], columns] = draw(len(rows))
        pending = pending[repeated.any(1)]
    return candidates[:, 1:]


def _draw_by_keys(
    target_leaves: Int64[Tensor, " batch"],
    popularity: Popularity,
    count: int,
    generator: torch.Generator | None,
) -> Int64[Tensor, "batch count"]:
    """Draw by exponential races: each leaf finishes after Exp(weight), the first `count` are drawn.

    Of independent exponential times the least is a leaf's in proportion to its weight, and what is
    left of the others is exponential again: this is successive sampling, at the price of a time for
    every leaf. The target does not run. -1 where too few run.
    """
    leaves, weights = popularity.leaves, popularity.weights
    num_drawn = min(count, len(leaves))
    drawn = []
    for targets in target_leaves.split(max(1, KEYS_AT_ONCE // len(leaves))):
        shape = (len(targets), len(leaves))
        times = weights.new_empty(shape).exponential_(generator=generator) / weights
        times = times.masked_fill(leaves == targets[:, None], torch.inf)
        first, place = times.topk(num_drawn, dim=1, largest=False)
        drawn.append(leaves[place].masked_fill(first.isinf(), -1))
    return F.pad(torch.cat(drawn), (0, count - num_drawn), value=-1)
