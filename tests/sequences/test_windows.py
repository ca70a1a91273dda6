"""Windows: by hand and against a naive loop."""

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.splitting import Sequences, Targets
from beamwise.sequences.windows import Windows


def sequences_of_items(*users: list[int]) -> Sequences:
    starts = torch.tensor([0, *(len(items) for items in users)]).cumsum(0)
    items = torch.tensor([item for items in users for item in items], dtype=torch.int32)
    ids = pl.Series([f"u{i}" for i in range(len(users))])
    return Sequences(ids, items, starts, torch.arange(len(items)))


def targets(*pairs: tuple[int, int]) -> Targets:
    users, positions = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).unbind(1)
    return Targets(users, positions)


def test_golden():
    sequences = sequences_of_items([10, 11, 12, 13], [20, 21])
    windows = Windows(sequences, targets((0, 3), (1, 1), (0, 1), (1, 0)), max_history=2)
    assert len(windows) == 4
    assert windows.history_lengths.tolist() == [2, 1, 1, 0]
    assert windows.histories(torch.tensor([0, 1, 3])).tolist() == [[11, 12], [20, -1], [-1, -1]]
    assert windows.targets(torch.tensor([3, 0])).tolist() == [20, 13]


def test_width_is_that_of_the_rows_asked_for():
    windows = Windows(sequences_of_items([1, 2, 3, 4]), targets((0, 3), (0, 1), (0, 0)))
    assert windows.histories(torch.tensor([1])).tolist() == [[1]]
    assert windows.histories(torch.tensor([2])).tolist() == [[-1]]
    assert windows.histories(torch.tensor([], dtype=torch.int64)).shape == (0, 1)


@given(data=st.data(), max_history=st.integers(1, 4))
def test_equals_a_naive_loop(data, max_history):
    items = st.lists(st.integers(0, 50), min_size=1, max_size=7)
    users = data.draw(st.lists(items, min_size=1, max_size=4))
    places = st.sampled_from([(u, p) for u, own in enumerate(users) for p in range(len(own))])
    wanted = data.draw(st.lists(places, min_size=1, max_size=6))
    windows = Windows(sequences_of_items(*users), targets(*wanted), max_history)
    rows = data.draw(st.lists(st.integers(0, len(wanted) - 1), min_size=1, max_size=6))

    expected = [users[u][max(0, p - max_history) : p] for u, p in (wanted[row] for row in rows)]
    width = max(1, *(len(history) for history in expected), 1)
    padded = [history + [-1] * (width - len(history)) for history in expected]
    histories = windows.histories(torch.tensor(rows))
    assert histories.dtype == torch.int64
    assert histories.tolist() == padded
    assert windows.history_lengths[rows].tolist() == [len(history) for history in expected]
    assert windows.targets(torch.tensor(rows)).tolist() == [
        users[u][p] for u, p in (wanted[row] for row in rows)
    ]


def test_refused():
    sequences = sequences_of_items([1, 2], [3])
    with pytest.raises(ValueError, match=r"max_history must be >= 1, got 0"):
        Windows(sequences, targets((0, 1)), max_history=0)
    with pytest.raises(ValueError, match=r"target 1 is at position 1 of a user with 1 items"):
        Windows(sequences, targets((0, 1), (1, 1)))
    with pytest.raises(ValueError, match=r"target 0 is at position -1"):
        Windows(sequences, targets((0, -1)))
