"""Splits of windows: by hand, against naive loops, and equal to what is published."""

import csv
import json
from itertools import pairwise

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.sources import TitleWindowsConfig, read_source
from beamwise.data.splitting import sequences_of, split_sequences, training_part
from beamwise.data.user_sequences import Sequences
from beamwise.data.window_splits import (
    PublishedConfig,
    WindowsConfig,
    published_split,
    sliding_windows,
)
from beamwise.sequences.windows import Windows


def taken_at(*times: list[int], parts: list[int] | None = None) -> Sequences:
    """Users with items at these times, each ascending."""
    flat = [time for ascending in times for time in ascending]
    starts = torch.tensor([0, *(len(ascending) for ascending in times)]).cumsum(0)
    return Sequences(
        pl.Series([f"u{user}" for user in range(len(times))]),
        torch.arange(len(flat), dtype=torch.int32),
        starts,
        torch.tensor(flat),
        None if parts is None else torch.tensor(parts, dtype=torch.int8),
    )


def pairs(targets) -> list[tuple[int, int]]:
    return list(zip(targets.users.tolist(), targets.positions.tolist(), strict=True))


def test_windows_golden():
    # Windows of 3: user 0's targets at 3 5 6, user 1 has one of all its two items at 5, user 2's
    # only item is none, user 3's at 2. In time: 2 3 5(user 0) 5(user 1) 6, cut at 2.5 and 3.75.
    sequences = taken_at([1, 2, 3, 5, 6], [4, 5], [9], [0, 1, 2])
    split = sliding_windows(sequences, WindowsConfig(size=3, validation=0.25, test=0.25))
    assert pairs(split.train) == [(0, 2), (3, 2)]
    assert pairs(split.validation) == [(0, 3)]
    assert pairs(split.test) == [(0, 4), (1, 1)]
    assert split.train_lengths.tolist() == [3, 0, 0, 3]
    assert training_part(sequences, split).items.tolist() == [0, 1, 2, 8, 9, 10]


@given(
    times=st.lists(st.lists(st.integers(3, 30), min_size=1, max_size=9), min_size=3, max_size=8),
    size=st.integers(2, 5),
)
def test_windows_equal_a_naive_loop(times, size):
    times = [[1, 2, *sorted(user)] for user in times]
    found = sliding_windows(taken_at(*times), WindowsConfig(size=size, validation=0.25, test=0.25))
    pooled = []
    for user, taken in enumerate(times):
        for last in range(1, len(taken)):
            if last >= size - 1 or last == len(taken) - 1:
                pooled.append((taken[last], user, last))
    pooled = [(user, last) for _, user, last in sorted(pooled)]
    cuts = 0, len(pooled) * 2 // 4, len(pooled) * 3 // 4, len(pooled)
    parts = (found.train, found.validation, found.test)
    for part, (start, stop) in zip(parts, pairwise(cuts), strict=True):
        assert pairs(part) == sorted(pooled[start:stop])


PARTS = [0, 1, 1, 1, 3, 0, 1, 1, 3]
"""Of two users with five and four items."""
TIMES = [1, 2, 3, 5, 9], [1, 3, 4, 9]


def test_published_golden():
    parts = [0, 1, 1, 2, 3, 0, 1, 0, 3]
    sequences = taken_at(*TIMES, parts=parts)
    split = published_split(sequences, PublishedConfig())
    assert pairs(split.train) == [(0, 1), (0, 2), (1, 1)]
    assert pairs(split.validation) == [(0, 3)]
    assert pairs(split.test) == [(0, 4), (1, 3)]
    assert split.train_lengths.tolist() == [3, 2]
    assert sequences.published_parts.tolist() == parts


def test_the_latest_of_training_validate_where_none_were_published():
    # Training targets at 2 3 5 and 3 4, in time 2 3 3 4 5: two fifths are those at 4 and 5.
    split = published_split(taken_at(*TIMES, parts=PARTS), PublishedConfig(validation=0.4))
    assert pairs(split.train) == [(0, 1), (0, 2), (1, 1)]
    assert pairs(split.validation) == [(0, 3), (1, 2)]
    assert split.train_lengths.tolist() == [3, 2]
    # At one time the later users' are taken first: of 2 3 3 4 5, three fifths.
    split = published_split(taken_at(*TIMES, parts=PARTS), PublishedConfig(validation=0.6))
    assert pairs(split.train) == [(0, 1), (0, 2)]
    assert split.train_lengths.tolist() == [3, 0]
    # A share of less than one target is one.
    split = published_split(taken_at(*TIMES, parts=PARTS), PublishedConfig(validation=0.01))
    assert pairs(split.validation) == [(0, 3)]


def test_training_may_be_on_the_latest():
    # Windows of 2 have targets at 3 5 7 9 and 4 6 8 10; 3 4 5 6 train, of which 5 and 6 are latest.
    times = [1, 3, 5, 7, 9], [2, 4, 6, 8, 10]
    config = WindowsConfig(size=2, validation=0.25, test=0.25, num_train=2)
    split = sliding_windows(taken_at(*times), config)
    assert pairs(split.train) == [(0, 2), (1, 2)]
    assert pairs(split.validation) == [(0, 3), (1, 3)]
    split = published_split(
        taken_at(*TIMES, parts=PARTS), PublishedConfig(num_train=1, validation=0.4)
    )
    assert pairs(split.train) == [(1, 1)]  # at 3, as user 0's, but later in the order of users
    assert split.train_lengths.tolist() == [0, 2]


def test_training_may_be_a_random_sample():
    times = [list(range(1, 40)), list(range(2, 50))]
    whole = sliding_windows(taken_at(*times), WindowsConfig(size=3))
    drawn = [
        sliding_windows(
            taken_at(*times), WindowsConfig(size=3, num_train=20, chosen="random", seed=seed)
        )
        for seed in (0, 0, 1)
    ]
    assert pairs(drawn[0].train) == pairs(drawn[1].train) != pairs(drawn[2].train)
    assert len(drawn[0].train.users) == 20
    assert set(pairs(drawn[0].train)) < set(pairs(whole.train))
    assert pairs(drawn[0].test) == pairs(whole.test)
    # what training may count ends with a user's last target of training
    last = [max(p for u, p in pairs(drawn[0].train) if u == user) + 1 for user in (0, 1)]
    assert drawn[0].train_lengths.tolist() == last
    most = sliding_windows(taken_at(*times), WindowsConfig(size=3, num_train=1000))
    assert pairs(most.train) == pairs(whole.train)


def test_refusals():
    with pytest.raises(ValueError, match="came without a split"):
        published_split(taken_at([1, 2]), PublishedConfig())
    with pytest.raises(ValueError, match="the test part of the split 'published' has no target"):
        published_split(taken_at([1, 2, 3], parts=[0, 1, 1]), PublishedConfig())
    with pytest.raises(ValueError, match="the training part of the split 'published' has no t"):
        published_split(taken_at([1, 2, 3], parts=[0, 1, 3]), PublishedConfig())
    with pytest.raises(ValueError, match="the validation part of the split 'windows' has no"):
        sliding_windows(taken_at([1, 2, 4, 5]), WindowsConfig(size=2))
    with pytest.raises(ValueError, match="no times"):
        sliding_windows(taken_at([0, 1, 2], [0, 1]), WindowsConfig(size=2))
    with pytest.raises(ValueError, match="leave nothing to train on"):
        WindowsConfig(validation=0.5, test=0.5)


def test_both_are_chosen_by_name():
    sequences = taken_at(*TIMES, parts=PARTS)
    assert pairs(split_sequences(sequences, PublishedConfig()).test) == [(0, 4), (1, 3)]
    by_windows = split_sequences(sequences, WindowsConfig(size=2, validation=0.2, test=0.4))
    assert pairs(by_windows.test) == [(0, 3), (0, 4), (1, 3)]


def test_windows_of_the_rebuilt_toy_data_are_the_published_ones(data_folder):
    dataset = read_source(TitleWindowsConfig(folder=data_folder / "toy-titles"))
    item_ids = dataset.items["item_id"]
    sequences = sequences_of(dataset.interactions, item_ids, dataset.targets)
    own, published = (
        split_sequences(sequences, config) for config in (WindowsConfig(), PublishedConfig())
    )
    assert own.train_lengths.equal(published.train_lengths)
    for name in ("train", "validation", "test"):
        targets = getattr(own, name)
        assert pairs(targets) == pairs(getattr(published, name))
        windows = Windows(sequences, targets, max_history=10)
        rows = torch.arange(len(windows))
        items = torch.cat([windows.histories(rows), windows.targets(rows)[:, None]], dim=1)
        users = sequences.user_ids.gather(windows.users.numpy()).to_list()
        ours = [
            (user, *(int(item_ids[item]) for item in row if item >= 0))
            for user, row in zip(users, items.tolist(), strict=True)
        ]
        file = {"validation": "valid"}.get(name, name)
        with (data_folder / "toy-titles" / f"{file}.csv").open() as lines:
            theirs = [(r["user_id"], *json.loads(r["item_ids"])) for r in csv.DictReader(lines)]
        assert sorted(ours) == sorted(theirs)
