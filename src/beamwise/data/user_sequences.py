"""Users' items in time order, and targets in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Int8, Int32, Int64
from torch import Tensor

from beamwise.data.interactions import positions_in


@dataclass(frozen=True, eq=False)
class Sequences:
    """Every user's items in time order, end to end in flat arrays."""

    user_ids: pl.Series
    items: Int32[Tensor, " interactions"]
    """Item indices; user `u` has `items[starts[u]:starts[u + 1]]`."""
    starts: Int64[Tensor, " users_and_one"]
    timestamps: Int64[Tensor, " interactions"]
    """When each of `items` was taken, in the unit of the interactions; ascends within a user."""
    published_parts: Int8[Tensor, " interactions"] | None = None
    """Of each of `items`, the part that it is published as a target of, as `PARTS` numbers them
    from 1, 0 where it is none; None where the data came without a split."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Items to predict: the one at `positions[i]` of user `users[i]`, from all those before it."""

    users: Int64[Tensor, " targets"]
    positions: Int64[Tensor, " targets"]


@dataclass(frozen=True, eq=False)
class Split:
    """Targets by purpose."""

    train: Targets
    validation: Targets
    test: Targets
    train_lengths: Int64[Tensor, " users"]
    """How many of each user's items, the first ones, may be counted in training: those that are no
    target of another part, and by time also none from then on."""


def check_times(sequences: Sequences) -> None:
    """Refuse sequences without times, where all users' items are to be put in one order.

    Raises:
        ValueError: If every user's timestamps are the places in its list.
    """
    if are_positions(sequences.timestamps.numpy(), sequences.starts.numpy()):
        raise ValueError(
            "the data have no times: every user's timestamps are 0, 1, 2, ...; split by "
            "leave-one-out, or prepare the data from a source with times"
        )


def are_positions(
    timestamps: Int64[np.ndarray, " interactions"], starts: Int64[np.ndarray, " users_and_one"]
) -> bool:
    """Whether every user's timestamps are 0, 1, 2, ...: places in a list, as of data without times.

    Args:
        timestamps: Of all users, end to end.
        starts: User `u` has those from `starts[u]` up to, not including, `starts[u + 1]`.
    """
    return bool((timestamps == positions_in(starts)).all())
