"""Which users and items have enough interactions to stay."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int32

from beamwise.data.interactions import Interactions


def k_core(interactions: Interactions, k: int) -> Interactions:
    """The largest part in which every user and every item has at least `k` interactions.

    Interactions are dropped with their user or item until none has fewer; the result does not
    depend on the order of dropping. Repeated interactions count each.

    Raises:
        ValueError: If `k` is below 1, or nothing is left.
    """
    if k < 1:
        raise ValueError(f"k of the k-core must be >= 1, got {k}: 1 keeps everything")
    users, items = interactions.users, interactions.items
    kept = np.ones(len(interactions), dtype=np.bool_)
    while kept.any():
        enough = _frequent(users, kept, k) & _frequent(items, kept, k) & kept
        if enough.sum() == kept.sum():
            return interactions.where(kept)
        kept = enough
    raise ValueError(f"no interaction is left in the {k}-core of {len(interactions)}: lower k")


def _frequent(
    owners: Int32[np.ndarray, " rows"], kept: Bool[np.ndarray, " rows"], k: int
) -> Bool[np.ndarray, " rows"]:
    """Whether each row's owner has at least `k` rows that are kept."""
    return (np.bincount(owners[kept], minlength=owners.max() + 1) >= k)[owners]
