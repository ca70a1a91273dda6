"""Sequences and both splits: by hand, against naive loops, on published data."""

import polars as pl
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from beamwise.data.interactions import Interactions
from beamwise.data.sources import SemanticIdJsonConfig, read_source
from beamwise.data.splitting import (
    ByTimeConfig,
    LeaveOneOutConfig,
    Sequences,
    by_time,
    leave_one_out,
    sequences_of,
    split_sequences,
    training_part,
)


def sequences_with(lengths: list[int]) -> Sequences:
    starts = torch.tensor([0, *lengths]).cumsum(0)
    items = torch.arange(sum(lengths), dtype=torch.int32)
    ids = pl.Series([f"u{i}" for i in range(len(lengths))])
    return Sequences(ids, items, starts, torch.arange(len(items)))


def pairs(targets) -> list[tuple[int, int]]:
    return list(zip(targets.users.tolist(), targets.positions.tolist(), strict=True))


def test_sequences_golden():
    rows = [("b", "x", 5), ("a", "y", 9), ("b", "z", 1)]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    interactions = Interactions.from_table(pl.DataFrame(rows, schema=schema, orient="row"))
    sequences = sequences_of(interactions, pl.Series("item_id", ["w", "x", "y", "z"]))
    assert sequences.user_ids.to_list() == ["b", "a"]
    assert sequences.items.tolist() == [3, 1, 2]  # b took z at 1 and x at 5
    assert sequences.starts.tolist() == [0, 2, 3]
    assert sequences.timestamps.tolist() == [1, 5, 9]


def test_sequences_errors():
    table = pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "timestamp": [0]})
    with pytest.raises(ValueError, match=r"item 'x' of the interactions is none of the 1 items"):
        sequences_of(Interactions.from_table(table), pl.Series(["y"]))
    with pytest.raises(ValueError, match=r"item id 'x' stands more than once"):
        sequences_of(Interactions.from_table(table), pl.Series(["x", "y", "x"]))


def test_split_golden():
    # Five items: 1 and 2 are trained on, 3 validates, 4 tests. Two items: only a test target.
    split = leave_one_out(sequences_with([5, 2]))
    assert pairs(split.train) == [(0, 1), (0, 2)]
    assert pairs(split.validation) == [(0, 3)]
    assert pairs(split.test) == [(0, 4), (1, 1)]


@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=8))
def test_split_equals_a_naive_loop(lengths):
    split = leave_one_out(sequences_with(lengths))
    train, validation, test = [], [], []
    for user, length in enumerate(lengths):
        train += [(user, position) for position in range(1, length - 2)]
        validation += [(user, length - 2)] if length >= 3 else []
        test += [(user, length - 1)] if length >= 2 else []
    assert pairs(split.train) == train
    assert pairs(split.validation) == validation
    assert pairs(split.test) == test


def test_leave_one_out_counts_what_comes_before_the_targets():
    split = leave_one_out(sequences_with([5, 3, 2, 1]))
    assert split.train_lengths.tolist() == [3, 1, 1, 1]


def test_training_part_golden():
    part = training_part(sequences := sequences_with([5, 2]), leave_one_out(sequences))
    assert part.user_ids.to_list() == ["u0", "u1"]
    assert part.starts.tolist() == [0, 3, 4]
    assert part.items.tolist() == [0, 1, 2, 5]
    assert part.timestamps.tolist() == [0, 1, 2, 5]


def taken_at(*times: list[int]) -> Sequences:
    """Users with items at these times, each ascending."""
    sequences = sequences_with([len(ascending) for ascending in times])
    flat = [time for ascending in times for time in ascending]
    fields = (sequences.user_ids, sequences.items, sequences.starts)
    return Sequences(*fields, torch.tensor(flat, dtype=torch.int64))


def test_by_time_golden():
    # Targets at 20 30 40 50 and 25 45 45: sorted 20 25 30 40 | 45 45 | 50, shares of 1 and 2 of 7.
    # User 2's only item is no target and, at 46, none of training's.
    split = by_time(taken_at([10, 20, 30, 40, 50], [10, 25, 45, 45], [46]), 0.3, 0.15)
    assert pairs(split.train) == [(0, 1), (0, 2), (0, 3), (1, 1)]
    assert pairs(split.validation) == [(1, 2), (1, 3)]
    assert pairs(split.test) == [(0, 4)]
    assert split.train_lengths.tolist() == [4, 2, 0]


def test_equal_times_go_to_the_later_part():
    # Targets at 1 2 3 4 4 4 5: the test share of 2 begins at one of the 4s and takes all of them.
    split = by_time(taken_at([0, 1, 2, 3, 4], [0, 4, 4, 5]), 0.15, 0.3)
    assert pairs(split.test) == [(0, 4), (1, 1), (1, 2), (1, 3)]
    assert pairs(split.validation) == [(0, 3)]
    assert pairs(split.train) == [(0, 1), (0, 2)]


@given(
    times=st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=8), min_size=1, max_size=8),
    validation=st.floats(0.01, 0.45),
    test=st.floats(0.01, 0.45),
)
def test_no_part_is_later_than_the_next(times, validation, test):
    sequences = taken_at(*map(sorted, times))
    try:
        split = by_time(sequences, validation, test)
    except ValueError:
        assume(False)
    parts = (split.train, split.validation, split.test)
    at = [sequences.timestamps[sequences.starts[p.users] + p.positions] for p in parts]
    assert int(at[0].max()) < int(at[1].min())
    assert int(at[1].max()) < int(at[2].min())
    targets = [pair for part in parts for pair in pairs(part)]
    assert sorted(targets) == [(u, p) for u, t in enumerate(times) for p in range(1, len(t))]
    assert len(split.test.users) >= max(1, round(test * len(targets)))
    assert len(split.validation.users) >= max(1, round(validation * len(targets)))
    naive = [sum(time < int(at[1].min()) for time in user) for user in times]
    assert split.train_lengths.tolist() == naive
    assert training_part(sequences, split).starts.diff().tolist() == naive


@given(steps=st.lists(st.integers(1, 3), min_size=60, max_size=60))
def test_distinct_times_give_the_shares_asked(steps):
    times = torch.tensor(steps).cumsum(0).tolist()
    split = by_time(taken_at(times[0::2], times[1::2]), 0.1, 0.2)
    parts = (split.train, split.validation, split.test)
    assert [len(part.users) for part in parts] == [40, 6, 12]  # of 58


def test_positions_are_no_times():
    sequences = taken_at([0, 1, 2, 3], [0, 1])
    with pytest.raises(ValueError, match="no times: every user's timestamps are 0, 1, 2"):
        by_time(sequences)


@pytest.mark.parametrize(
    "times", [([5, 5, 5], [5, 5]), ([1, 2], [2]), ([1, 2], [1, 3]), ([7], [8]), ([1, 3, 3, 4],)]
)
def test_an_empty_part_is_refused(times):
    with pytest.raises(ValueError, match="leaves a part empty: lower the shares, give finer"):
        by_time(taken_at(*times))


def test_a_split_is_chosen_by_its_name():
    sequences = taken_at([1, 2, 3, 4, 5], [2, 3, 4, 9])
    left_out = split_sequences(sequences, LeaveOneOutConfig())
    assert pairs(left_out.test) == pairs(leave_one_out(sequences).test)
    timed = split_sequences(sequences, ByTimeConfig(validation=0.3, test=0.2))
    assert pairs(timed.test) == pairs(by_time(sequences, 0.3, 0.2).test) == [(1, 3)]
    assert pairs(timed.validation) == [(0, 3), (0, 4), (1, 2)]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0, 0.1), (0.1, 1)])
def test_shares_that_leave_nothing_are_refused(shares):
    with pytest.raises(ValueError, match=r"below 1|greater than 0|less than 1"):
        ByTimeConfig(validation=shares[0], test=shares[1])


@pytest.mark.parametrize(
    ("name", "num_train", "num_users"), [("office", 38_543, 4_905), ("beauty", 131_413, 22_363)]
)
def test_published_counts(data_folder, name, num_train, num_users):
    dataset = read_source(SemanticIdJsonConfig(folder=data_folder / name))
    split = leave_one_out(sequences_of(dataset.interactions, dataset.items["item_id"]))
    parts = (split.train, split.validation, split.test)
    assert [len(part.users) for part in parts] == [num_train, num_users, num_users]
