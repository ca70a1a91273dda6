"""Which users and items have enough interactions to stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32

from beamwise.data.bad_input import bad_file
from beamwise.data.interactions import Interactions
from beamwise.data.raw_interactions import Gathered


def gathered_core(
    gathered: Gathered, min_interactions: int, path: Path, dropped: Mapping[str, int] | None = None
) -> tuple[Interactions, dict[str, int]]:
    """The k-core of what a source gathered, and the notes of what became of its rows.

    Args:
        gathered: What was read and is left.
        min_interactions: k of the core; 0 keeps all.
        path: The file, for the message.
        dropped: Rows that were read and dropped before, by other rules, as notes name them.

    Returns:
        The interactions that stay; rows read, duplicates, those `dropped`, and those outside the
        core.

    Raises:
        ValueError: If nothing is left, with the file, its sizes and the setting.
    """
    whole = gathered.interactions
    kept = whole
    if min_interactions:
        try:
            kept = k_core(whole, min_interactions)
        except ValueError:
            what = (
                f"has {len(whole):,} interactions of {whole.num_users:,} users with "
                f"{whole.num_items:,} items, and none is left in their {min_interactions}-core"
            )
            raise bad_file(path, what, "lower min_interactions (0 keeps all)") from None
    notes = {"rows_read": gathered.num_rows, "duplicates_dropped": gathered.num_dropped}
    return kept, notes | dict(dropped or {}) | {"dropped_outside_core": len(whole) - len(kept)}


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
