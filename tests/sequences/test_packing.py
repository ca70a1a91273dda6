import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise import Catalog
from beamwise.data.splitting import Sequences, Targets
from beamwise.sequences.packing import alone, packed_stream, packed_windows
from beamwise.sequences.windows import Windows


def windows_of(lengths, max_history):
    """Users with so many items, numbered on; every item but a user's first is a target."""
    import polars as pl

    starts = torch.tensor([0, *lengths]).cumsum(0)
    items = torch.arange(int(starts[-1]), dtype=torch.int32)
    ids = pl.Series([f"u{user}" for user in range(len(lengths))])
    sequences = Sequences(ids, items, starts, torch.zeros(len(items), dtype=torch.int64))
    users = torch.repeat_interleave(torch.tensor(lengths) - 1)
    first = (torch.tensor(lengths) - 1).cumsum(0) - (torch.tensor(lengths) - 1)
    positions = torch.arange(len(users)) - first[users] + 1
    return Windows(sequences, Targets(users, positions), max_history)


def histories_in(packs):
    """What every target sees in its row, by its window."""
    rows = torch.arange(len(packs))
    packed = packs.items(rows)
    windows, row_of = packs.windows_of(rows)
    assert torch.equal(packed.rows, row_of)
    seen = {}
    for window, row, column in zip(
        windows.tolist(), packed.rows.tolist(), packed.columns.tolist(), strict=True
    ):
        assert int(packed.items[row, column]) == int(packs.windows.targets(torch.tensor([window])))
        seen[window] = packed.items[row, :column].tolist()
    return seen


def in_windows(windows):
    """What every target's window has."""
    found = windows.histories(torch.arange(len(windows)))
    return {row: [item for item in items if item >= 0] for row, items in enumerate(found.tolist())}


@given(lengths=st.lists(st.integers(2, 15), min_size=1, max_size=5), max_history=st.integers(1, 6))
def test_windows_packed_or_alone_have_their_own_histories(lengths, max_history):
    windows = windows_of(lengths, max_history)
    for packs in (packed_windows(windows), alone(windows)):
        assert sorted(packs.targets.tolist()) == list(range(len(windows)))
        assert histories_in(packs) == in_windows(windows)


def test_targets_with_their_whole_past_share_a_row():
    packs = packed_windows(windows_of([6, 3], max_history=3))
    # user 0: targets 1, 2, 3 see all before them; 4 and 5 have lost the first items
    assert [part.tolist() for part in packs.targets.tensor_split(packs.starts[1:-1])] == [
        [0, 1, 2], [3], [4], [5, 6],
    ]  # fmt: skip
    assert packs.num_items.tolist() == [3, 3, 3, 2]
    assert packs.sizes.tolist() == [3, 1, 1, 2]


@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=4),
    max_history=st.integers(1, 5),
    more=st.integers(0, 6),
)
def test_a_stream_shows_at_least_the_window_and_at_most_the_longest(lengths, max_history, more):
    windows = windows_of(lengths, max_history)
    longest = 2 * max_history + more
    packs = packed_stream(windows, longest)
    assert sorted(packs.targets.tolist()) == list(range(len(windows)))
    wanted, seen = in_windows(windows), histories_in(packs)
    for window, history in seen.items():
        assert history[-len(wanted[window]) :] == wanted[window]
        assert len(history) <= min(longest, int(windows.positions[window]))
    assert int(packs.num_items.max()) <= longest


def test_a_long_user_takes_few_rows_of_a_stream():
    packs = packed_stream(windows_of([21], max_history=3), longest=8)
    # the first row holds targets 1..8, a later one 8 - 3 + 1 = 6 targets: 9..14, 15..20
    assert packs.sizes.tolist() == [8, 6, 6]
    assert packs.num_items.tolist() == [8, 8, 8]


def test_tokens_before_a_target_leave_out_end_tokens():
    catalog = Catalog.from_tokens(
        torch.tensor([[5, 6, 7], [5, 6, 0], [8, 0, 0]]), lengths=[3, 2, 1]
    )
    packs = packed_stream(windows_of([3], max_history=2), longest=4)
    packed = packs.items(torch.tensor([0]))
    assert packed.items.tolist() == [[0, 1, 2]]
    assert packed.tokens_before(catalog).tolist() == [3, 5]


def test_rows_come_in_the_order_asked_for():
    packs = packed_windows(windows_of([3, 2, 4], max_history=5))
    windows, rows = packs.windows_of(torch.tensor([2, 0]))
    assert windows.tolist() == [3, 4, 5, 0, 1]
    assert rows.tolist() == [0, 0, 0, 1, 1]


def test_what_cannot_be_packed_is_refused():
    with pytest.raises(ValueError, match=r"rows of 5 items .*stream_items to at least .* = 6"):
        packed_stream(windows_of([3], max_history=3), longest=5)
    windows = windows_of([3], max_history=3)
    windows.positions[0] = 0
    with pytest.raises(ValueError, match="without any item before it cannot be packed"):
        packed_windows(windows)
