"""Sequences from windows of them: by hand, and every window comes back whatever is left out."""

from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.sources.rebuilt_users import Window, rebuild, table_of, targets_of


def windows(*rows: tuple[str, int, int]) -> list[Window]:
    return [Window(tuple(items), time, part) for items, time, part in rows]


def test_golden():
    # Full windows have 3 items. abc, then bcd; e has no window of its own, and f, after it, has.
    users = rebuild("u", windows(("abc", 5, 0), ("bcd", 6, 0), ("def", 9, 2)), 2)
    assert len(users) == 1
    assert "".join(users[0].items) == "abcdef"
    assert users[0].times == [5, 5, 5, 6, 9, 9]
    assert users[0].targets == [(2, 0), (3, 0), (5, 2)]
    assert users[0].num_between == 1


def test_a_window_that_does_not_continue_begins_another_user():
    # def shares nothing with abc. In the second, the history of (c, d) lacks the b before it.
    for second in ("def", "cd"):
        users = rebuild("u", windows(("abc", 5, 0), (second, 6, 1)), 2)
        assert [user.user_id for user in users] == ["u", "u/2"]
        assert ["".join(user.items) for user in users] == ["abc", second]
        assert [user.num_between for user in users] == [0, 0]


def test_histories_that_grow_are_continued():
    users = rebuild("u", windows(("ab", 5, 0), ("abc", 6, 0), ("abcd", 7, 2), ("bcde", 8, 2)), 3)
    assert ["".join(user.items) for user in users] == ["abcde"]


def test_as_few_new_items_as_possible():
    users = rebuild("u", windows(("aaa", 5, 0), ("aaa", 6, 0)), 2)
    assert ["".join(user.items) for user in users] == ["aaaa"]


@given(
    items=st.lists(st.sampled_from("abcdefghijkl"), min_size=2, max_size=25),
    size=st.integers(2, 6),
    lost=st.sets(st.integers(0, 24)),
)
def test_every_window_comes_back(items, size, lost):
    cuts = range(min(len(items), size), len(items) + 1)
    cut = [Window(tuple(items[max(0, i - size) : i]), i, 0) for i in cuts]
    given_windows = [window for i, window in enumerate(cut) if i not in lost] or cut[:1]
    users = rebuild("u", given_windows, size - 1)
    found = [
        (tuple(user.items[max(0, position + 1 - size) : position + 1]), user.times[position])
        for user in users
        for position, _ in user.targets
    ]
    assert found == [(window.items, window.time) for window in given_windows]
    if not lost:
        assert [user.items for user in users] == [items]


def test_tables():
    users = [
        *rebuild("9", windows(("ab", 3, 0), ("bc", 4, 2)), 1),
        *rebuild("7", windows(("ca", 1, 1)), 1),
    ]
    assert table_of(users).table.rows() == [
        ("9", "a", 3), ("9", "b", 3), ("9", "c", 4), ("7", "c", 1), ("7", "a", 1),
    ]  # fmt: skip
    assert targets_of(users).rows() == [
        ("9", 1, "training"), ("9", 2, "test"), ("7", 1, "validation"),
    ]  # fmt: skip
