"""Stable matching of items and codes, against asking one at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.tokenization.quantizers import residual_codebooks
from beamwise.tokenization.quantizers.balanced_assignment import (
    balanced_assignment,
    balanced_means,
    rank_in_group,
    stable_matching,
)
from beamwise.tokenization.quantizers.residual_codebooks import nearest


def naive(distances, capacity):
    """One item asks at a time; a code drops its farthest (the later of equal ones)."""
    num_items, num_codes = distances.shape
    lists = [
        sorted(range(num_codes), key=lambda c, i=i: (distances[i, c], c)) for i in range(num_items)
    ]
    held = {code: [] for code in range(num_codes)}
    waiting = list(range(num_items))
    while waiting:
        item = waiting.pop()
        if not lists[item]:
            continue
        code = lists[item].pop(0)
        held[code] = sorted([*held[code], item], key=lambda i: (distances[i, code], i))
        waiting += held[code][capacity:]
        held[code] = held[code][:capacity]
    codes = np.full(num_items, -1)
    for code, items in held.items():
        codes[items] = code
    return codes


def grid(random, rows, dim=2):
    """Whole numbers: their distances are exact, and many are equal."""
    return random.integers(0, 4, (rows, dim)).astype(np.float32)


def exact_distances(vectors, centroids):
    return ((vectors[:, None].astype(np.float64) - centroids[None]) ** 2).sum(2)


def test_golden():
    # Codes at 0 and 10 with two places each. Items at 1, 2, 3 and 9: all but the last want 0,
    # which keeps 1 and 2; 3 goes to 10.
    vectors = np.array([[3], [1], [9], [2]], np.float32)
    assert balanced_assignment(vectors, np.array([[0], [10]], np.float32)).tolist() == [1, 0, 1, 0]


@given(seed=st.integers(0, 2**32 - 1))
def test_is_the_naive_one_and_keeps_to_capacity(seed):
    random = np.random.default_rng(seed)
    num_items, num_codes = int(random.integers(1, 40)), int(random.integers(1, 9))
    vectors, centroids = grid(random, num_items), grid(random, num_codes)
    codes = balanced_assignment(vectors, centroids)
    capacity = -(-num_items // num_codes)
    expected = naive(exact_distances(vectors, centroids), capacity)
    np.testing.assert_array_equal(codes, expected)
    assert np.bincount(codes).max() <= capacity


@given(seed=st.integers(0, 2**32 - 1))
def test_matching_with_too_few_places_is_the_naive_one(seed):
    random = np.random.default_rng(seed)
    distances = random.integers(0, 5, (12, 4)).astype(np.float64)
    preferences = np.argsort(distances, axis=1, kind="stable")
    capacity = int(random.integers(1, 4))
    codes = stable_matching(preferences, lambda i, c: distances[i, c], capacity, 4)
    np.testing.assert_array_equal(codes, naive(distances, capacity))
    assert (codes < 0).sum() == max(0, 12 - 4 * capacity)


def test_an_item_asks_no_more_than_its_choices():
    preferences = np.array([[0, 1], [0, 1], [0, 1]])
    distances = np.array([[1.0, 1], [2, 2], [3, 3]])
    choices = np.array([2, 1, 0])
    codes = stable_matching(preferences, lambda i, c: distances[i, c], 1, 2, choices)
    assert codes.tolist() == [0, -1, -1]


def test_infinite_distances_are_as_good_as_any():
    preferences = np.array([[0], [0]])
    codes = stable_matching(preferences, lambda i, c: np.full(len(i), np.inf), 1, 1)
    assert codes.tolist() == [0, -1]


def test_equal_items_fill_codes_in_order():
    vectors = np.zeros((6, 3), np.float32)
    centroids = np.array([[3, 0, 0], [1, 0, 0], [2, 0, 0]], np.float32)
    assert balanced_assignment(vectors, centroids).tolist() == [1, 1, 2, 2, 0, 0]


def test_with_room_for_all_it_is_the_nearest():
    random = np.random.default_rng(0)
    vectors = random.standard_normal((30, 4)).astype(np.float32)
    centroids = np.concatenate([vectors[:3], vectors[:3] + 100])
    some = np.repeat(vectors[:3], 2, 0)
    np.testing.assert_array_equal(balanced_assignment(some[::2], centroids), [0, 1, 2])
    preferences = np.argsort(exact_distances(vectors, centroids), axis=1, kind="stable")
    free = stable_matching(preferences, lambda i, c: np.zeros(len(i)), 30, 6)
    np.testing.assert_array_equal(free, nearest(vectors, centroids))


def test_blocks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((60, 4)).astype(np.float32)
    centroids = random.standard_normal((300, 4)).astype(np.float32)
    whole = balanced_assignment(vectors, centroids)  # more codes than a byte holds
    monkeypatch.setattr(residual_codebooks, "BLOCK_ELEMENTS", 1000)
    np.testing.assert_array_equal(balanced_assignment(vectors, centroids), whole)


def test_means_are_those_of_the_codes_and_error_falls():
    random = np.random.default_rng(0)
    vectors = np.exp(random.standard_normal((200, 3))).astype(np.float32)
    start = vectors[:8]
    errors = []
    for rounds in (1, 10):
        centroids, codes = balanced_means(vectors, start, rounds)
        assert np.bincount(codes, minlength=8).tolist() == [25] * 8
        for code in range(8):
            mean = vectors[codes == code].mean(0)
            np.testing.assert_allclose(centroids[code], mean, rtol=1e-5)
        errors.append(np.square(vectors - centroids[codes]).sum())
    assert errors[1] < 0.9 * errors[0]


@pytest.mark.parametrize(
    ("keys", "ranks"), [([], []), ([4], [0]), ([1, 1, 1, 3, 5, 5], [0, 1, 2, 0, 0, 1])]
)
def test_rank_in_group(keys, ranks):
    assert rank_in_group(np.array(keys, np.int64)).tolist() == ranks
