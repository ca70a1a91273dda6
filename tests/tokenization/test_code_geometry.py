"""Variance left and shared prefixes, against loops in float64."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.tokenization.code_geometry import (
    mean_cosines,
    nearest,
    prefix_sharing,
    variance_left,
    vector_lengths,
)
from beamwise.tokenization.code_use import Partition, prefix_partitions

SEEDS = st.integers(0, 2**32 - 1)


def as_codes(rows):
    return np.array(rows, dtype=np.int32)


def as_vectors(rows):
    return np.array(rows, dtype=np.float32)


def variance(vectors, codes):
    return variance_left(vectors, codes, prefix_partitions(codes))


def sharing(vectors, codes, num_neighbours=3, num_probes=10_000, seed=0):
    return prefix_sharing(
        vectors,
        prefix_partitions(codes),
        num_neighbours=num_neighbours,
        num_probes=num_probes,
        seed=seed,
    )


def drawn(seed, num_items=25, dim=70, num_codes=4, num_levels=3):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, num_codes, (num_items, num_levels)).astype(np.int32)
    return rng.standard_normal((num_items, dim)).astype(np.float32), codes


def means_taken_off(values, keys):
    groups = {key: [v for v, k in zip(values, keys, strict=True) if k == key] for key in keys}
    means = {key: sum(members) / len(members) for key, members in groups.items()}
    return [value - means[key] for value, key in zip(values, keys, strict=True)]


def squares(values):
    return sum(float(value @ value) for value in values)


def test_variance_golden():
    # Deviations from the mean 4 are -4, -2, 0, 6, squares 56. Level 1 has the means -3 and 3, and
    # leaves -1, 1, -3, 3, squares 20; level 2 then -2 (items 0, 2) and 2, and leaves 1, -1, -1, 1.
    # By chance two groups of four leave (4 - 2) / (4 - 1) of what they find.
    codes = as_codes([[0, 0], [0, 1], [1, 0], [1, 1]])
    first, second = variance(as_vectors([[0], [2], [4], [10]]), codes)
    assert (first.error, first.within_prefix) == pytest.approx((20 / 56, 20 / 56))
    assert (second.error, second.within_prefix) == pytest.approx((4 / 56, 0))
    assert (first.error_by_chance, second.error_by_chance) == pytest.approx((2 / 3, 4 / 9))
    assert first.within_prefix_by_chance == pytest.approx(2 / 3)
    assert second.within_prefix_by_chance == 0


@given(SEEDS)
def test_variance_is_that_of_a_loop(seed):
    vectors, codes = drawn(seed)
    rows = list(vectors.astype(np.float64))
    centred = means_taken_off(rows, [0] * len(rows))
    residual = centred
    for level, left in enumerate(variance(vectors, codes)):
        residual = means_taken_off(residual, codes[:, level].tolist())
        prefixes = [tuple(row[: level + 1]) for row in codes.tolist()]
        within = squares(means_taken_off(centred, prefixes))
        assert left.error == pytest.approx(squares(residual) / squares(centred))
        assert left.within_prefix == pytest.approx(within / squares(centred))


@given(SEEDS)
def test_reading_more_levels_never_leaves_more(seed):
    levels = variance(*drawn(seed, num_items=12))
    for before, after in itertools.pairwise(levels):
        assert after.error <= before.error + 1e-12
        assert after.within_prefix <= before.within_prefix + 1e-12
    assert all(0 <= left.within_prefix <= left.error + 1e-12 <= 1 + 2e-12 for left in levels)


def test_chance_is_the_mean_over_all_deals():
    vectors = as_vectors([[0, 1], [2, 0], [4, 7], [9, 9]])
    first, second = [0, 0, 0, 1], [0, 0, 1, 2]
    dealt = [
        variance(vectors, as_codes(list(zip(one, two, strict=True))))
        for one in itertools.permutations(first)
        for two in itertools.permutations(second)
    ]
    for level in range(2):
        errors = [left[level].error for left in dealt]
        assert np.mean(errors) == pytest.approx(dealt[0][level].error_by_chance)
    within = [left[0].within_prefix for left in dealt]
    assert np.mean(within) == pytest.approx(dealt[0][0].within_prefix_by_chance)


@given(SEEDS)
def test_order_of_items_and_names_of_codes_do_not_matter(seed):
    vectors, codes = drawn(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(codes))
    names = np.stack([rng.permutation(4) for _ in range(codes.shape[1])]).astype(np.int32)
    renamed = np.stack([names[level][codes[:, level]] for level in range(codes.shape[1])], axis=1)
    for mine, other in zip(
        variance(vectors, codes), variance(vectors[order], renamed[order]), strict=True
    ):
        assert vars(mine) == pytest.approx(vars(other))
    near, other = sharing(vectors, codes), sharing(vectors[order], renamed[order])
    for a, b in zip(near.lengths, other.lengths, strict=True):
        assert vars(a) == pytest.approx(vars(b))


def test_variance_is_precise_far_from_the_origin():
    vectors, codes = drawn(0, dim=3)
    whole = np.round(vectors * 64)  # float32 holds these numbers exactly, shifted ones too
    shifted = variance(whole + 100_000, codes)
    for mine, other in zip(variance(whole, codes), shifted, strict=True):
        assert vars(mine) == pytest.approx(vars(other))


@pytest.mark.parametrize("num_items", [1, 3, 49, 1000])
def test_equal_vectors_have_no_variance(num_items):
    codes = as_codes([[i] for i in range(num_items)])
    assert variance(as_vectors([[0.1, 0.7]] * num_items), codes) is None


def test_mean_cosines_golden():  # cosines of the three pairs: 1, 0, 0
    units = as_vectors([[1, 0], [1, 0], [0, 1]])
    groups = [Partition.of(np.array(keys)) for keys in ([0, 0, 0], [0, 0, 1], [0, 1, 2])]
    assert mean_cosines(units, groups) == [pytest.approx(1 / 3), pytest.approx(1), None]


def test_nearest_golden():
    units = as_vectors([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]])
    assert nearest(units, np.array([0, 2]), 2).tolist() == [[1, 2], [1, 0]]


def test_an_item_is_no_neighbour_of_itself_among_equals():
    units = as_vectors([[1, 0]] * 40)
    found = nearest(units, np.arange(40), 5)
    assert found.shape == (40, 5)
    assert not (found == np.arange(40)[:, None]).any()


def test_sharing_golden():
    # Two pairs of near directions; with one neighbour each item finds its partner. First codes: the
    # first pair agrees, the second does not: half of the neighbours; of 6 pairs, 1 + 0 agree, as
    # (0, 1) only. Room: items 0 and 1 have one other item, items 2 and 3 none.
    vectors = as_vectors([[2, 0], [1, 0.1], [0, 1], [0.1, 3]])
    near = sharing(vectors, as_codes([[0], [0], [1], [2]]), num_neighbours=1)
    (only,) = near.lengths
    assert (near.num_items, near.num_probes, near.num_neighbours) == (4, 4, 1)
    assert (only.neighbours, only.at_most, only.random_pairs) == (0.5, 0.5, pytest.approx(1 / 6))
    assert only.lift == pytest.approx(3)
    assert only.cosine_with_equal_prefix == pytest.approx(1 / np.sqrt(1.01))


@given(SEEDS)
def test_sharing_is_that_of_a_loop(seed):
    vectors, codes = drawn(seed, num_items=14, num_codes=3, num_levels=2)
    near = sharing(vectors, codes, num_neighbours=4)
    units = [v / np.sqrt(v @ v) for v in vectors.astype(np.float64)]
    everyone = range(len(units))
    pairs = [(i, j) for i in everyone for j in everyone if i != j]
    mean = np.mean([units[i] @ units[j] for i, j in pairs])
    assert near.cosine_of_all_pairs == pytest.approx(mean, abs=1e-6)  # units are float32
    closest = {
        i: sorted((j for j in everyone if j != i), key=lambda j: -float(units[i] @ units[j]))[:4]
        for i in everyone
    }
    for length, figures in enumerate(near.lengths, start=1):
        prefix = [tuple(row[:length]) for row in codes.tolist()]
        equal = [(i, j) for i, j in pairs if prefix[i] == prefix[j]]
        found = [prefix[i] == prefix[j] for i in everyone for j in closest[i]]
        room = [min(4, prefix.count(prefix[i]) - 1) / 4 for i in everyone]
        assert figures.neighbours == pytest.approx(np.mean(found))
        assert figures.random_pairs == pytest.approx(len(equal) / len(pairs))
        assert figures.at_most == pytest.approx(np.mean(room))
        if equal:
            mean = np.mean([units[i] @ units[j] for i, j in equal])
            assert figures.cosine_with_equal_prefix == pytest.approx(mean, abs=1e-6)


def test_random_codes_have_lift_one():  # 4,000 pairs of which a quarter agree: 3 % is 4 sigma
    vectors, codes = drawn(0, num_items=400, dim=8)
    near = sharing(vectors, codes, num_neighbours=10)
    assert near.lengths[0].lift == pytest.approx(1, abs=0.12)


def test_codes_of_planted_clusters_share_all_neighbours():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(6, dtype=np.int32), 12)[:, None]
    vectors = np.eye(6, dtype=np.float32)[codes[:, 0]] + rng.normal(0, 0.01, (72, 6))
    (only,) = sharing(vectors.astype(np.float32), codes, num_neighbours=10).lengths
    assert (only.neighbours, only.at_most) == (1.0, 1.0)
    assert only.random_pairs == pytest.approx(11 / 71)
    assert only.cosine_with_equal_prefix == pytest.approx(1, abs=0.01)


def test_no_pair_with_an_equal_prefix():
    vectors, _ = drawn(0, num_items=5)
    (only,) = sharing(vectors, as_codes([[i] for i in range(5)])).lengths
    assert (only.neighbours, only.at_most, only.random_pairs) == (0, 0, 0)
    assert (only.lift, only.cosine_with_equal_prefix) == (None, None)


def test_probes_are_a_seeded_sample():
    vectors, codes = drawn(0, num_items=300, dim=8)
    near = sharing(vectors, codes, num_probes=50)
    assert near.num_probes == 50
    assert near == sharing(vectors, codes, num_probes=50)
    other = sharing(vectors, codes, num_probes=50, seed=1)
    assert near.lengths[0].neighbours != other.lengths[0].neighbours
    assert near.lengths[0].random_pairs == other.lengths[0].random_pairs


def test_zero_vectors_are_left_out():
    vectors, codes = drawn(0, num_items=20)
    zeros = np.concatenate([vectors, np.zeros_like(vectors[:3])])
    assert sharing(zeros, np.concatenate([codes, codes[:3]])) == sharing(vectors, codes)


@pytest.mark.parametrize("usable", [0, 1])
def test_fewer_than_two_usable_vectors(usable):
    vectors = np.zeros((4, 2), dtype=np.float32)
    vectors[:usable] = 1
    assert sharing(vectors, as_codes([[0], [1], [1], [2]])) is None


def test_short_vectors_are_not_zero():
    tiny = as_vectors([[3e-30, 4e-30], [0, 0]])
    assert vector_lengths(tiny).tolist() == [pytest.approx(5e-30), 0]
