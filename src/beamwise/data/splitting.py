"""Which interaction is a target for training, for validation and for the test."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Int64
from pydantic import Field, model_validator
from torch import Tensor

from beamwise.config import Config
from beamwise.data.interactions import Interactions
from beamwise.data.published_targets import published_parts
from beamwise.data.user_sequences import Sequences, Split, Targets, check_times
from beamwise.data.window_splits import (
    PublishedConfig,
    WindowsConfig,
    published_split,
    sliding_windows,
)


class LeaveOneOutConfig(Config):
    """Each user's last item is a test target, the one before it a validation target."""

    name: Literal["leave-one-out"] = "leave-one-out"


class ByTimeConfig(Config):
    """The latest targets of all users are the test part, those before them validation."""

    name: Literal["by-time"] = "by-time"
    validation: float = Field(default=0.1, gt=0, lt=1)
    """Share of all targets, the latest before the test part."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """Share of all targets, the latest."""

    @model_validator(mode="after")
    def _leaves_training_something(self) -> ByTimeConfig:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation={self.validation} and test={self.test} leave nothing to train on: "
                "their sum must be below 1"
            )
        return self


AnySplitConfig = Annotated[
    LeaveOneOutConfig | ByTimeConfig | PublishedConfig | WindowsConfig, Field(discriminator="name")
]
"""The type of a setting that chooses a split by `name`."""


def split_sequences(sequences: Sequences, config: AnySplitConfig) -> Split:
    """Split in the way that `config` names.

    Raises:
        ValueError: As that way of splitting does.
    """
    if isinstance(config, PublishedConfig):
        return published_split(sequences, config)
    if isinstance(config, LeaveOneOutConfig):
        return leave_one_out(sequences)
    if isinstance(config, WindowsConfig):
        return sliding_windows(sequences, config)
    return by_time(sequences, config.validation, config.test)


def sequences_of(
    interactions: Interactions, item_ids: pl.Series, targets: pl.DataFrame | None = None
) -> Sequences:
    """Lay out every user's items; an item's index is its position in `item_ids`.

    Users keep the order of the interactions.

    Args:
        interactions: Who took what.
        item_ids: All items.
        targets: Those that came with the data, as `Dataset.targets`.

    Raises:
        ValueError: If `item_ids` repeats an id, or lacks an item of the interactions, or the
            targets do not fit the interactions.
    """
    if item_ids.n_unique() != len(item_ids):
        repeated = item_ids.filter(item_ids.is_duplicated())[0]
        raise ValueError(f"item id {repeated!r} stands more than once: item ids must be unique")
    places = pl.DataFrame({"item_id": item_ids}).with_row_index("item_index")
    taken = interactions.item_ids.to_frame("item_id")
    index = taken.join(places, on="item_id", how="left", maintain_order="left")["item_index"]
    if index.null_count():
        lost = interactions.item_ids.filter(index.is_null())[0]
        raise ValueError(
            f"item {lost!r} of the interactions is none of the {len(item_ids)} items given: "
            "add it to the items or drop its interactions"
        )
    return Sequences(
        interactions.user_ids,
        torch.from_numpy(index.to_numpy().astype(np.int32)[interactions.items]),
        torch.from_numpy(interactions.starts),
        torch.from_numpy(interactions.timestamps),
        None if targets is None else torch.from_numpy(published_parts(targets, interactions)),
    )


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
        train_lengths=(lengths - 2).clamp(min=1).minimum(lengths),
    )


def by_time(sequences: Sequences, validation: float = 0.1, test: float = 0.1) -> Split:
    """The latest share of all targets is the test part, the share before it the validation part.

    A target is every interaction with at least one item before it in its user's sequence, whatever
    part those items are in: histories hold all that a user took before. Targets of one time are in
    one part, the later one, so a part can be somewhat larger than its share, never earlier than the
    part before it.

    Args:
        sequences: With real times: that which orders one user's items must order all users'.
        validation: Share of all targets, > 0.
        test: Share of all targets, > 0; both together below 1.

    Raises:
        ValueError: If the timestamps are positions in the users' lists, or a part would be empty.
    """
    owners = torch.repeat_interleave(sequences.starts.diff())
    positions = torch.arange(len(owners)) - sequences.starts[owners]
    check_times(sequences)
    is_target = positions > 0
    validation_begin, test_begin = _cuts(sequences.timestamps[is_target], validation, test)
    times = sequences.timestamps
    in_train = times < validation_begin
    return Split(
        train=_targets(owners, positions, is_target & in_train),
        validation=_targets(owners, positions, is_target & ~in_train & (times < test_begin)),
        test=_targets(owners, positions, is_target & (times >= test_begin)),
        train_lengths=torch.bincount(owners[in_train], minlength=len(sequences.user_ids)),
    )


def training_part(sequences: Sequences, split: Split) -> Sequences:
    """Every user's first items, those that may be counted in training; users keep their index."""
    owners = torch.repeat_interleave(sequences.starts.diff())
    known = torch.arange(len(owners)) < (sequences.starts[:-1] + split.train_lengths)[owners]
    starts = torch.nn.functional.pad(split.train_lengths.cumsum(0), (1, 0))
    return Sequences(
        sequences.user_ids, sequences.items[known], starts, sequences.timestamps[known]
    )


def _cuts(times: Int64[Tensor, " targets"], validation: float, test: float) -> tuple[int, int]:
    """When validation and test begin, given the times of all targets."""
    ordered = times.sort().values
    num_targets = len(ordered)
    begins: list[int] = []
    rest = num_targets
    for share in (test, validation):
        first = rest - max(1, round(share * num_targets))
        if first >= 1:
            begins.append(int(ordered[first]))
            rest = int(torch.searchsorted(ordered, begins[-1]))
        if first < 1 or rest < 1:
            raise ValueError(
                f"a split by time of {num_targets:,} targets at {len(ordered.unique()):,} "
                f"different times with validation={validation} and test={test} leaves a part "
                "empty: lower the shares, give finer timestamps, or split by leave-one-out"
            )
    return begins[1], begins[0]


def _targets(
    owners: Int64[Tensor, " interactions"],
    positions: Int64[Tensor, " interactions"],
    chosen: Bool[Tensor, " interactions"],
) -> Targets:
    return Targets(owners[chosen], positions[chosen])


def _from_the_end(lengths: Int64[Tensor, " users"], places: int) -> Targets:
    users = torch.nonzero(lengths > places).flatten()
    return Targets(users, lengths[users] - places)
