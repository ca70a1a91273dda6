"""Which users and items have enough interactions to stay."""

from __future__ import annotations

import numpy as np
import polars as pl

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
    users, items = (_dense(interactions.table[name]) for name in ("user_id", "item_id"))
    kept = np.arange(len(interactions))
    while len(kept):
        enough = _frequent(users[kept], k) & _frequent(items[kept], k)
        if enough.all():
            break
        kept = kept[enough]
    if not len(kept):
        raise ValueError(f"no interaction is left in the {k}-core of {len(interactions)}: lower k")
    return Interactions(interactions.table[kept])


def _dense(ids: pl.Series) -> np.ndarray:
    return ids.rank("dense").to_numpy().astype(np.int64) - 1


def _frequent(owners: np.ndarray, k: int) -> np.ndarray:
    """Whether each row's owner has at least `k` rows."""
    return np.bincount(owners)[owners] >= k
