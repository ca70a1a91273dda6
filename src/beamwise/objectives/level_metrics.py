"""What objectives log of every level, without waiting for the device."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from beamwise.objectives.base import Mean, Metrics


def masked_mean(
    values: Float[Tensor, " *shape"] | Bool[Tensor, " *shape"], where: Bool[Tensor, " *shape"]
) -> Mean:
    """Mean, detached, of the values `where` it is true.

    Args:
        values: A boolean counts as 0 or 1, so that its mean is a share.
        where: Which values the mean is of.
    """
    return Mean(_kept(values, where).sum(), where.sum())


def level_means(
    name: str,
    values: Float[Tensor, "batch levels"] | Bool[Tensor, "batch levels"],
    where: Bool[Tensor, "batch levels"],
) -> Metrics:
    """`masked_mean` of every level over the targets, as `NAME_1`, `NAME_2`, ..."""
    both = zip(_kept(values, where).sum(0), where.sum(0), strict=True)
    return {f"{name}_{level}": Mean(*sums) for level, sums in enumerate(both, start=1)}


def by_level(name: str, values: Float[Tensor, " levels"]) -> Metrics:
    """The entries as `NAME_1`, `NAME_2`, ..."""
    return {f"{name}_{level}": value for level, value in enumerate(values, start=1)}


def _kept(values: Tensor, where: Bool[Tensor, " *shape"]) -> Float[Tensor, " *shape"]:
    """The values, detached, as numbers; 0 elsewhere."""
    values = values.detach()
    return (values & where).float() if values.dtype == torch.bool else values.where(where, 0.0)
