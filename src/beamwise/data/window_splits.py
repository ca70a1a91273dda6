"""Splits of sliding windows: those published with a dataset, and the same from its sequences."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import torch
from jaxtyping import Bool, Int64
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from beamwise.config import Config
from beamwise.data.published_targets import PARTS
from beamwise.data.user_sequences import Sequences, Split, Targets, check_times


class TrainingSample(Config):
    """How many of the training targets are trained on."""

    num_train: PositiveInt | None = None
    """Training targets at most; all where not set."""
    chosen: Literal["latest", "random"] = "latest"
    """Which `num_train` they are. On the Toy windows, counts of who follows whom in the latest
    10,000 rank as well as those of all 38,344 (HR@10 .033 and .034), those of a random 10,000 much
    worse (.021)."""
    seed: int = 0
    """Of a random choice; not the seed of training, so that runs of several seeds share it."""


class PublishedConfig(TrainingSample):
    """The targets of each part are those that came with the data."""

    name: Literal["published"] = "published"
    validation: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training targets, the latest, that validate where no part for that came with the
    data; otherwise not used."""


class WindowsConfig(TrainingSample):
    """Sliding windows of all users, pooled, sorted by the target's time and cut into parts."""

    name: Literal["windows"] = "windows"
    size: int = Field(default=11, ge=2)
    """Items of a whole window, its target the last; a user with fewer has one window of them all.
    Histories are whole windows with data.max_history one less."""
    validation: float = Field(default=0.1, gt=0, lt=1)
    """Share of all windows, the latest before the test part."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """Share of all windows, the latest."""

    @model_validator(mode="after")
    def _leaves_training_something(self) -> WindowsConfig:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation={self.validation} and test={self.test} leave nothing to train on: "
                "their sum must be below 1"
            )
        return self


def published_split(sequences: Sequences, config: PublishedConfig) -> Split:
    """The split that came with the data.

    Where it has no validation part, the latest of the training targets become one, in the order of
    `sliding_windows`.

    Raises:
        ValueError: If the data came without targets, or a part would be empty.
    """
    if sequences.published_parts is None:
        raise ValueError(
            "the data came without a split (the source title-windows has one): take another "
            "data.split.name, as leave-one-out or windows"
        )
    parts = sequences.published_parts.clone()
    training, validation, test = range(1, len(PARTS) + 1)
    if not bool((parts == validation).any()):
        ordered = _in_time(sequences, parts == training)
        num_validation = max(1, int(len(ordered) * Fraction(str(config.validation))))
        parts[ordered[len(ordered) - num_validation :]] = validation
    return _split(sequences, [parts == part for part in (training, validation, test)], config)


def sliding_windows(sequences: Sequences, config: WindowsConfig) -> Split:
    """Sliding windows, cut as benchmarks of text recommenders cut them.

    A user with n >= `size` items has n - size + 1 windows of `size` successive items; one with
    fewer, but at least 2, has one window of them all. The windows of all users are sorted by the
    time of their last item, the target; those of one time in the order of the users, then of the
    positions. The first share of whole windows trains, the next validates, the last is the test.

    Raises:
        ValueError: If the data have no times, or a part would be empty.
    """
    check_times(sequences)
    owners, positions = _places(sequences)
    lengths = sequences.starts.diff()
    first = (lengths - 1).clamp(max=config.size - 1)
    is_target = (positions >= first[owners]) & (positions > 0)
    ordered = _in_time(sequences, is_target)
    validation, test = Fraction(str(config.validation)), Fraction(str(config.test))
    begins = [int(len(ordered) * (1 - validation - test)), int(len(ordered) * (1 - test))]
    chosen = []
    for start, stop in zip([0, *begins], [*begins, len(ordered)], strict=True):
        within = torch.zeros(len(owners), dtype=torch.bool)
        within[ordered[start:stop]] = True
        chosen.append(within)
    return _split(sequences, chosen, config)


def _split(
    sequences: Sequences, chosen: list[Bool[Tensor, " interactions"]], config: TrainingSample
) -> Split:
    """The split with these targets in its parts.

    Training may count what its histories and targets show: a user's items up to the last target of
    training, and nothing of a user who has none.
    """
    for name, within in zip(PARTS, chosen, strict=True):
        if not bool(within.any()):
            raise ValueError(
                f"the {name} part of the split {config.model_dump()['name']!r} has no target: "
                "give more data, or choose other shares or another data.split.name"
            )
    train, validation, test = chosen
    train = _sampled(sequences, train, config)
    owners, positions = _places(sequences)
    num_users = len(sequences.user_ids)
    lengths = torch.zeros(num_users, dtype=torch.int64)
    lengths.scatter_reduce_(0, owners[train], positions[train] + 1, "amax")
    parts = (Targets(owners[part], positions[part]) for part in (train, validation, test))
    return Split(*parts, train_lengths=lengths)


def _sampled(
    sequences: Sequences, train: Bool[Tensor, " interactions"], config: TrainingSample
) -> Bool[Tensor, " interactions"]:
    ordered = _in_time(sequences, train)
    if config.num_train is None or config.num_train >= len(ordered):
        return train
    if config.chosen == "random":
        generator = torch.Generator().manual_seed(config.seed)
        ordered = ordered[torch.randperm(len(ordered), generator=generator)]
    kept = torch.zeros_like(train)
    kept[ordered[len(ordered) - config.num_train :]] = True
    return kept


def _in_time(
    sequences: Sequences, chosen: Bool[Tensor, " interactions"]
) -> Int64[Tensor, " targets"]:
    """Places of the chosen interactions by time, then user, then position."""
    places = chosen.nonzero()[:, 0]
    return places[sequences.timestamps[places].argsort(stable=True)]


def _places(
    sequences: Sequences,
) -> tuple[Int64[Tensor, " interactions"], Int64[Tensor, " interactions"]]:
    """The user of every interaction, and its position in the user's list."""
    owners = torch.repeat_interleave(sequences.starts.diff())
    return owners, torch.arange(len(owners)) - sequences.starts[owners]
