"""Items with equal codes: numbered, moved, or left."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.tokenization import collisions
from beamwise.tokenization.collisions import resolve

SIZE = 5


def array(*rows):
    return np.array(rows, np.int32)


def line_distances(positions, size=SIZE, exists=None):
    """Codes at 0, 1, 2 ... on a line, and items at `positions` on it."""
    codes = np.arange(size, dtype=np.float32)
    table = (np.asarray(positions, np.float32)[:, None] - codes) ** 2
    if exists is not None:
        table[:, exists:] = np.inf
    return lambda rows: table[rows]


def naive_reassign(codes, taken, size, table):
    """Movers below a prefix ask free codes one at a time; a code keeps its nearest."""
    codes, taken = [tuple(map(int, row)) for row in codes], [tuple(map(int, row)) for row in taken]
    resolved = list(codes)
    movers = []
    for full in sorted(set(codes)):
        same = [i for i, code in enumerate(codes) if code == full]
        same.sort(key=lambda i: (float(table[i, full[-1]]), i))
        movers += same if full in taken else same[1:]
    for prefix in sorted({codes[i][:-1] for i in movers}):
        used = {code[-1] for code in codes + taken if code[:-1] == prefix}
        free = [code for code in range(size) if code not in used]
        waiting = [i for i in movers if codes[i][:-1] == prefix]
        lists = {i: sorted(free, key=lambda c, i=i: (float(table[i, c]), c)) for i in waiting}
        held = {}
        while waiting:
            i = waiting.pop()
            if not lists[i]:
                continue
            code = lists[i].pop(0)
            rivals = sorted({i, held.get(code, i)}, key=lambda j: (float(table[j, code]), j))
            held[code] = rivals[0]
            waiting += rivals[1:]
        for code, i in held.items():
            resolved[i] = (*prefix, code)
    return np.array(resolved)


def num_sharing(codes, taken):
    rows = [tuple(row) for row in np.concatenate([codes, taken]).tolist()]
    return sum(rows.count(row) > 1 for row in rows[: len(codes)])


def test_suffix_numbers_items_with_equal_codes_in_their_order():
    codes = array([1, 2], [0, 0], [1, 2], [1, 2])
    resolved, moved, colliding = resolve(codes, "suffix", SIZE)
    assert resolved.tolist() == [[1, 2, 0], [0, 0, 0], [1, 2, 1], [1, 2, 2]]
    assert (moved, colliding) == (2, 0)


def test_suffix_goes_on_after_the_taken():  # also where a number below was given up
    taken = array([1, 2, 0], [1, 2, 2], [4, 4, 0])
    resolved, moved, _ = resolve(array([1, 2], [3, 3], [1, 2]), "suffix", SIZE, taken=taken)
    assert resolved.tolist() == [[1, 2, 3], [3, 3, 0], [1, 2, 4]]
    assert moved == 2


def test_suffix_refuses_more_than_a_level_can_number():
    assert resolve(np.zeros((SIZE, 2), np.int32), "suffix", SIZE).codes[-1, -1] == SIZE - 1
    with pytest.raises(ValueError, match=r"6 items have the codes \(0, 0\).*codebook_size=5"):
        resolve(np.zeros((SIZE + 1, 2), np.int32), "suffix", SIZE)


def test_share_changes_nothing_and_counts():
    codes = array([1, 2], [0, 0], [1, 2], [3, 3])
    resolved, moved, colliding = resolve(codes, "share", SIZE, taken=array([3, 3]))
    assert resolved.tolist() == codes.tolist()
    assert (moved, colliding) == (0, 3)


def test_reassign_golden():
    # Items at 2.1, 2.0, 2.4 and 0 on the line; the first three have code 2, and item 1 is nearest
    # to it. Item 3 has 0, and 5 to 7 do not exist, so 1, 3 and 4 are free. Items 0 and 2 both want
    # 3; item 2 is nearer to it (0.6 < 0.9), so item 0 goes to 1.
    codes = array([7, 2], [7, 2], [7, 2], [7, 0])
    distances = line_distances([2.1, 2.0, 2.4, 0.0], size=8, exists=5)
    resolved, moved, colliding = resolve(codes, "reassign", 8, distances)
    assert resolved.tolist() == [[7, 1], [7, 2], [7, 3], [7, 0]]
    assert (moved, colliding) == (2, 0)


def test_reassign_leaves_the_taken_and_moves_the_new():
    codes = array([0, 2], [0, 4])
    distances = line_distances([2.0, 4.0])
    resolved, moved, colliding = resolve(
        codes, "reassign", SIZE, distances, taken=array([0, 2], [0, 1])
    )
    assert resolved.tolist() == [[0, 3], [0, 4]]
    assert (moved, colliding) == (1, 0)


def test_reassign_takes_codes_that_do_not_exist_last():
    codes = np.zeros((4, 2), np.int32)
    distances = line_distances([0.0, 0.1, 0.2, 0.3], exists=2)
    resolved, _, colliding = resolve(codes, "reassign", SIZE, distances)
    # Item 0 keeps code 0; code 1 is nearest to item 3; 2, 3, 4 do not exist: by item order.
    assert resolved[:, 1].tolist() == [0, 2, 3, 1]
    assert colliding == 0


def test_reassign_shares_where_all_codes_are_used():
    codes = np.zeros((SIZE + 2, 1), np.int32)
    distances = line_distances(np.zeros(SIZE + 2))  # equal items: the earlier go first
    resolved, moved, colliding = resolve(codes, "reassign", SIZE, distances)
    assert resolved[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 0]
    assert (moved, colliding) == (4, 3)


def test_reassign_needs_distances():
    with pytest.raises(ValueError, match=r"reassign needs .* choose suffix or share"):
        resolve(array([0, 0]), "reassign", SIZE)


@pytest.mark.parametrize("method", ["suffix", "reassign", "share"])
def test_no_new_items(method):
    codes = np.empty((0, 3), np.int32)
    resolved = resolve(codes, method, SIZE, line_distances([]))
    assert resolved.codes.shape == (0, 3 + (method == "suffix"))
    assert resolved[1:] == (0, 0)


def test_bad_codes_and_levels_are_refused():
    with pytest.raises(ValueError, match=r"codes, row 1, level 0: code 5 is outside 0..4"):
        resolve(array([0], [5]), "share", SIZE)
    with pytest.raises(ValueError, match=r"taken, row 0, level 1: code -1 is outside"):
        resolve(array([0, 0]), "share", SIZE, taken=array([0, -1]))
    with pytest.raises(ValueError, match="taken items have 2 codes, new ones would have 3"):
        resolve(array([0, 0]), "suffix", SIZE, taken=array([0, 0]))


def random_case(seed):
    random = np.random.default_rng(seed)
    num_items, num_taken = random.integers(1, 25), random.integers(0, 8)
    num_levels = int(random.integers(1, 4))
    codes = random.integers(0, [2] * (num_levels - 1) + [SIZE], (num_items, num_levels))
    taken = random.integers(0, [2] * (num_levels - 1) + [SIZE], (num_taken, num_levels))
    table = random.integers(0, 6, (num_items, SIZE)) / 2  # few values: many ties
    table[:, SIZE - random.integers(0, 3) :] = np.inf
    return codes.astype(np.int32), taken.astype(np.int32), table, random


@given(seed=st.integers(0, 2**32 - 1))
def test_reassign_is_the_naive_one(seed):
    codes, taken, table, _ = random_case(seed)
    resolved = resolve(codes, "reassign", SIZE, lambda rows: table[rows], taken)
    np.testing.assert_array_equal(resolved.codes, naive_reassign(codes, taken, SIZE, table))
    assert resolved.num_moved == (resolved.codes != codes).any(1).sum()
    assert resolved.num_colliding == num_sharing(resolved.codes, taken)


@given(seed=st.integers(0, 2**32 - 1))
def test_reassign_keeps_prefixes_and_makes_distinct_where_possible(seed):
    codes, taken, table, _ = random_case(seed)
    resolved = resolve(codes, "reassign", SIZE, lambda rows: table[rows], taken).codes
    np.testing.assert_array_equal(resolved[:, :-1], codes[:, :-1])
    for prefix in np.unique(codes[:, :-1], axis=0):
        ours = resolved[(resolved[:, :-1] == prefix).all(1), -1]
        theirs = taken[(taken[:, :-1] == prefix).all(1), -1]
        distinct = len({*ours.tolist(), *theirs.tolist()})
        assert distinct == min(SIZE, len(ours) + len(set(theirs.tolist())))


@given(seed=st.integers(0, 2**32 - 1))
def test_reassign_does_not_depend_on_the_order_of_items(seed):
    codes, taken, table, random = random_case(seed)
    table = random.permutation(table.size).reshape(table.shape) / 1.0  # no ties
    order = random.permutation(len(codes))
    before = resolve(codes, "reassign", SIZE, lambda rows: table[rows], taken).codes
    shuffled = table[order]
    after = resolve(codes[order], "reassign", SIZE, lambda rows: shuffled[rows], taken).codes
    np.testing.assert_array_equal(before[order], after)


@given(seed=st.integers(0, 2**32 - 1))
def test_suffix_makes_all_distinct_and_leaves_the_rest(seed):
    codes, taken, _, _ = random_case(seed)
    first = resolve(taken, "suffix", 64)
    second = resolve(codes, "suffix", 64, taken=first.codes)
    assert num_sharing(np.concatenate([second.codes, first.codes]), first.codes[:0]) == 0
    np.testing.assert_array_equal(second.codes[:, :-1], codes)


def test_blocks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    codes = random.integers(0, 3, (200, 3)).astype(np.int32)
    table = random.random((200, SIZE))
    whole = resolve(codes, "reassign", SIZE, lambda rows: table[rows])
    asked = []

    def distances(rows):
        asked.append(len(rows))
        return table[rows]

    monkeypatch.setattr("beamwise.tokenization.quantizers.residual_codebooks.BLOCK_ELEMENTS", 20)
    parts = resolve(codes, "reassign", SIZE, distances)
    np.testing.assert_array_equal(parts.codes, whole.codes)
    assert max(asked) < 30


def test_a_large_catalog_takes_no_loop_over_items():
    random = np.random.default_rng(0)
    codes = random.integers(0, 16, (100_000, 4)).astype(np.int32)
    table = random.random((1, 16)).astype(np.float32)
    begin = time.process_time()
    resolved = resolve(codes, "reassign", 16, lambda rows: np.repeat(table, len(rows), 0))
    assert resolved.num_colliding < resolve(codes, "share", 16).num_colliding
    resolve(codes, "suffix", 256)
    assert time.process_time() - begin < 5


def test_parts_hold_whole_groups(monkeypatch):
    monkeypatch.setattr("beamwise.tokenization.quantizers.residual_codebooks.BLOCK_ELEMENTS", 8)
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3])
    parts = collisions._whole_groups(groups, 2)
    assert [(part.start, part.stop) for part in parts] == [(0, 3), (3, 5), (5, 12)]
