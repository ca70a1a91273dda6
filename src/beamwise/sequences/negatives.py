"""Negatives: which leaves compete with a target, at which levels, and with what weight."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Float64, Int64
from pydantic import PositiveInt
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.config import Config

Scaling = Literal["none", "released", "inverse-inclusion"]


class NegativesConfig(Config):
    """How non-targets are sampled to compete with a target."""

    count: PositiveInt = 100
    """Distinct leaves drawn for each target, without the target."""
    scaling: Scaling = "none"
    """Weight of a drawn prefix: 1 (none), number of other prefixes over number drawn (released), or
    1 over its probability of being drawn, which is unbiased (inverse-inclusion)."""


def sample_negatives(
    target_leaves: Int64[Tensor, " batch"],
    num_leaves: int,
    count: int,
    generator: torch.Generator | None = None,
) -> Int64[Tensor, "batch count"]:
    """Draw `count` distinct leaves other than the target for each row, uniformly.

    Every ordered choice of distinct leaves is equally likely: which draws are repeated depends on
    their positions and equality only, so no leaf is treated differently from another.

    Args:
        target_leaves: In 0..num_leaves-1.
        num_leaves: Leaves of the catalog.
        count: Negatives a row.
        generator: Source of randomness on the device of `target_leaves`.

    Raises:
        ValueError: If there are fewer than `count` other leaves.
    """
    others = num_leaves - 1
    if not 1 <= count <= others:
        raise ValueError(
            f"count={count} negatives must lie in 1..{others}, the leaves beside the target "
            f"(num_leaves={num_leaves}): lower negatives.count"
        )
    shape, device = (len(target_leaves), count), target_leaves.device
    if 2 * count > others:  # redrawing would meet mostly repeats; here a permutation is short
        keys = torch.rand(shape[0], others, generator=generator, device=device, dtype=torch.float64)
        draws = keys.argsort(1)[:, :count]
    else:
        draws = torch.randint(others, shape, generator=generator, device=device)
        repeated = ~_first_of_equals(draws)
        while repeated.any():
            num_repeated = int(repeated.sum())
            draws[repeated] = torch.randint(
                others, (num_repeated,), generator=generator, device=device
            )
            repeated = ~_first_of_equals(draws)
    return draws + (draws >= target_leaves[:, None])


def competition(
    catalog: Catalog, candidates: Int64[Tensor, "batch candidates"], scaling: Scaling = "none"
) -> tuple[
    Bool[Tensor, "batch candidates levels"], Float[Tensor, "batch candidates levels"] | None
]:
    """Which prefixes of the candidates compete at which level, and the log of their weights.

    Args:
        catalog: Tells prefixes apart.
        candidates: Leaves, column 0 the target, the others as `sample_negatives` drew them.
        scaling: With D the catalog's distinct prefixes of that length and n those that count in
            this row, the target's included, a negative prefix weighs

                none               1, and the second result is None
                released           (D - 1) / n, as APAO's released code has it
                inverse-inclusion  1 / probability that a draw of that many leaves meets it

            With the last, the expectation over draws of a weighted sum over the negatives that
            count is the sum over all competitors in the catalog.

    Returns:
        `counts` and `log_weights` as `CandidateScores` defines them. Weights of the target and of
        what does not count are 1.
    """
    nodes = catalog.leaf_nodes[candidates].long()
    counts = _first_of_equals(nodes) & (nodes >= 0)
    if scaling == "none":
        return counts, None
    if scaling == "released":
        bounds = torch.tensor(catalog.level_start, device=candidates.device)
        num_prefixes = bounds[2:] - bounds[1:-1]
        num_counting = counts.sum(1, keepdim=True)
        log_weights = (num_prefixes - 1).log() - num_counting.log()
    else:
        known = nodes.clamp(min=0)
        num_below = (catalog.leaf_stop[known] - catalog.leaf_start[known]).long()
        distinct, place = num_below.unique(return_inverse=True)
        num_drawn = candidates.shape[1] - 1
        log_weights = -log_inclusion_probability(distinct, catalog.num_leaves - 1, num_drawn)[place]
    weighted = counts & (torch.arange(candidates.shape[1], device=counts.device) > 0)[:, None]
    return counts, torch.where(weighted, log_weights, 0.0).float()


def log_inclusion_probability(
    num_below: Int64[Tensor, " prefixes"], num_others: int, count: int
) -> Float64[Tensor, " prefixes"]:
    """Log-probability that a draw without replacement meets a prefix (hypergeometric).

        pi = 1 - C(N - n, k) / C(N, k) = 1 - prod_{i < k} (1 - n / (N - i))

    As a sum of logarithms, because log-gamma functions would cancel: for N = 1e8 they leave no
    digit of pi.

    Args:
        num_below: n, leaves below the prefix, none of them the target.
        num_others: N, leaves that can be drawn.
        count: k, leaves drawn.
    """
    remaining = num_others - torch.arange(count, dtype=torch.float64, device=num_below.device)
    shares = (num_below.double()[:, None] / remaining).clamp(max=1.0)  # 1: some draw must meet it
    log_missed = torch.log1p(-shares).sum(1)
    return torch.log(-torch.expm1(log_missed))


def _first_of_equals(
    values: Int64[Tensor, "batch candidates *levels"],
) -> Bool[Tensor, "batch candidates *levels"]:
    """Whether no earlier candidate of the row has the same value."""
    ordered, order = values.sort(dim=1, stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.empty_like(first).scatter_(1, order, first)
