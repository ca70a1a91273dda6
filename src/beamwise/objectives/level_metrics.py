"""What objectives log of every level, without waiting for the device."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def masked_mean(
    values: Float[Tensor, " *shape"] | Bool[Tensor, " *shape"],
    where: Bool[Tensor, " *shape"],
    dim: int | None = None,
) -> Float[Tensor, " *rest"]:
    """Mean, detached, of the values `where` it is true; 0 where it is nowhere.

    Args:
        values: A boolean counts as 0 or 1, so that its mean is a share.
        where: Which values the mean is of.
        dim: The one to average over; all of them where not given.
    """
    values = values.detach()
    kept = values & where if values.dtype == where.dtype else values.where(where, 0.0)
    return kept.sum(dim) / where.sum(dim).clamp(min=1)


def level_means(
    name: str,
    values: Float[Tensor, "batch levels"] | Bool[Tensor, "batch levels"],
    where: Bool[Tensor, "batch levels"],
) -> dict[str, Float[Tensor, ""]]:
    """`masked_mean` of every level over the targets, as `NAME_1`, `NAME_2`, ..."""
    return by_level(name, masked_mean(values, where, 0))


def by_level(name: str, values: Float[Tensor, " levels"]) -> dict[str, Float[Tensor, ""]]:
    """The entries as `NAME_1`, `NAME_2`, ..."""
    return {f"{name}_{level}": value for level, value in enumerate(values, start=1)}
