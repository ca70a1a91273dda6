"""Users' sequences, put together again from overlapping windows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from beamwise.data.interactions import Interactions
from beamwise.data.published_targets import PARTS, TARGET_COLUMNS


class Window(NamedTuple):
    """Items in time order, of which the last is a target."""

    items: tuple[str, ...]
    time: int
    """When the last one was taken."""
    part: int
    """What it is a target for, as an index of `PARTS`."""


@dataclass
class RebuiltUser:
    """What is known of a user, up to the target of the last window so far."""

    user_id: str
    items: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    """An item that is no target has the time of the next one."""
    targets: list[tuple[int, int]] = field(default_factory=list)
    """Position and part of each."""
    num_between: int = 0
    """Items between two targets that are none themselves."""

    def add(self, window: Window, num_new: int) -> None:
        """Add the last `num_new` items of a window, the last of all being its target."""
        self.num_between += num_new - 1 if self.targets else 0
        self.items += window.items[len(window.items) - num_new :]
        self.times += [window.time] * num_new
        self.targets.append((len(self.items) - 1, window.part))


def rebuild(user_id: str, windows: Sequence[Window], most_history: int) -> list[RebuiltUser]:
    """The sequence that windows were cut from, or several where they do not continue one another.

    A window continues a sequence by as few new items as possible, at least one and not all of its
    own: the others are the sequence's last. Its history must be the whole past of its target, or
    the last `most_history` items of that; otherwise a new sequence begins, as `user_id/2`.

    Args:
        user_id: The user's id, of the first sequence.
        windows: In time order.
        most_history: Items of the longest history of all users.
    """
    users: list[RebuiltUser] = []
    for window in windows:
        num_new = _num_new(users[-1].items, window, most_history) if users else None
        if num_new is None:
            users.append(RebuiltUser(f"{user_id}/{len(users) + 1}" if users else user_id))
            num_new = len(window.items)
        users[-1].add(window, num_new)
    return users


def _num_new(items: list[str], window: Window, most_history: int) -> int | None:
    for num_new in range(1, len(window.items)):
        known = window.items[: len(window.items) - num_new]
        if tuple(items[-len(known) :]) == known:
            past = len(items) + num_new - 1
            return num_new if min(most_history, past) == len(window.items) - 1 else None
    return None


def table_of(users: Sequence[RebuiltUser]) -> Interactions:
    """The interactions of all users, in their order."""
    lengths = [len(user.items) for user in users]
    taken = pl.Series("item_id", [item for user in users for item in user.items], dtype=pl.String)
    item_ids = taken.unique(maintain_order=True)
    places = taken.replace_strict(item_ids, range(len(item_ids)), return_dtype=pl.Int32)
    return Interactions(
        pl.Series("user_id", [user.user_id for user in users], dtype=pl.String),
        item_ids,
        np.repeat(np.arange(len(users), dtype=np.int32), lengths),
        places.to_numpy(),
        np.array([time for user in users for time in user.times], dtype=np.int64),
    )


def targets_of(users: Sequence[RebuiltUser]) -> pl.DataFrame:
    """Which item of which user is a target for what; `Dataset.targets`."""
    rows = [
        (user.user_id, position, PARTS[part]) for user in users for position, part in user.targets
    ]
    return pl.DataFrame(rows, schema=TARGET_COLUMNS, orient="row")
