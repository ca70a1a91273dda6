"""Which interaction is a target for training, for validation and for the test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from beamwise.data.interactions import Interactions


@dataclass(frozen=True, eq=False)
class Sequences:
    """Every user's items in time order, end to end in flat arrays."""

    user_ids: pl.Series
    items: Int32[Tensor, " interactions"]
    """Item indices; user `u` has `items[starts[u]:starts[u + 1]]`."""
    starts: Int64[Tensor, " users_and_one"]


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


def sequences_of(interactions: Interactions, item_ids: pl.Series) -> Sequences:
    """Lay out every user's items; an item's index is its position in `item_ids`.

    Users keep the order of the interactions.

    Raises:
        ValueError: If `item_ids` repeats an id, or lacks an item of the interactions.
    """
    if item_ids.n_unique() != len(item_ids):
        repeated = item_ids.filter(item_ids.is_duplicated())[0]
        raise ValueError(f"item id {repeated!r} stands more than once: item ids must be unique")
    places = pl.DataFrame({"item_id": item_ids}).with_row_index("item_index")
    found = interactions.table.join(places, on="item_id", how="left", maintain_order="left")
    if found["item_index"].null_count():
        lost = found.filter(pl.col("item_index").is_null())["item_id"][0]
        raise ValueError(
            f"item {lost!r} of the interactions is none of the {len(item_ids)} items given: "
            "add it to the items or drop its interactions"
        )
    users = found.group_by("user_id", maintain_order=True).len()
    starts = np.zeros(users.height + 1, dtype=np.int64)
    np.cumsum(users["len"].to_numpy(), out=starts[1:])
    items = found["item_index"].to_numpy().astype(np.int32)
    return Sequences(users["user_id"], torch.from_numpy(items), torch.from_numpy(starts))


def leave_one_out(sequences: Sequences) -> Split:
    """Each user's last item is a test target, the one before it a validation target.

    Of the rest, every item but the first is a training target. Every target has at least one item
    before it, so a user needs 2 interactions to be in the test part, 3 to be in the validation part
    and 4 to be in the training part, and is left out of a part that it is too short for.
    """
    lengths = sequences.starts.diff()
    num_train = (lengths - 3).clamp(min=0)
    users = torch.repeat_interleave(num_train)
    first = num_train.cumsum(0) - num_train
    positions = torch.arange(len(users)) - first[users] + 1
    return Split(
        train=Targets(users, positions),
        validation=_from_the_end(lengths, 2),
        test=_from_the_end(lengths, 1),
    )


def _from_the_end(lengths: Int64[Tensor, " users"], places: int) -> Targets:
    users = torch.nonzero(lengths > places).flatten()
    return Targets(users, lengths[users] - places)
