"""How codes are counted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.tokenization.code_use import (
    Partition,
    measure_code_use,
    perplexity,
    prefix_partitions,
)


def as_codes(rows):
    return np.array(rows, dtype=np.int32)


CODES = as_codes([[5, 1], [0, 1], [5, 1], [5, 0], [7, 1]])


def test_partition_golden():  # keys 0, 5, 7 in order: groups 0, 1, 2
    partition = Partition.of(CODES[:, 0])
    assert partition.group.tolist() == [1, 0, 1, 1, 2]
    assert partition.sizes.tolist() == [1, 3, 1]
    assert partition.equal_pairs() == 6  # ordered pairs of the three


def test_sums_golden():
    values = np.array([[1.0, 10], [2, 20], [3, 30], [4, 40], [5, 50]])
    assert Partition.of(CODES[:, 0]).sums(values).tolist() == [[2, 20], [8, 80], [5, 50]]


def test_prefixes_golden():  # (5, 1) twice, (0, 1), (5, 0), (7, 1)
    first, second = prefix_partitions(CODES)
    assert first.sizes.tolist() == [1, 3, 1]
    assert second.sizes.tolist() == [1, 1, 2, 1]
    assert second.group.tolist() == [2, 0, 2, 1, 3]


@given(st.integers(0, 2**32 - 1))
def test_prefixes_are_those_of_tuples(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (30, 3)).astype(np.int32)
    for length, partition in enumerate(prefix_partitions(codes), start=1):
        tuples = [tuple(row[:length]) for row in codes.tolist()]
        numbers = {prefix: number for number, prefix in enumerate(sorted(set(tuples)))}
        assert partition.group.tolist() == [numbers[prefix] for prefix in tuples]


def test_long_ids_of_large_codes_do_not_overflow():
    highest = np.iinfo(np.int32).max
    codes = as_codes([[highest] * 6, [highest] * 5 + [highest - 1], [0] * 6])
    assert [len(p.sizes) for p in prefix_partitions(codes)] == [2, 2, 2, 2, 2, 3]


def test_perplexity_golden():  # p = 1/2, 1/4, 1/4: H = 3/2 ln 2, so exp(H) = 2^1.5
    assert perplexity(np.array([2, 1, 1])) == pytest.approx(2**1.5)
    assert perplexity(np.array([7])) == 1
    assert perplexity(np.array([3] * 9)) == pytest.approx(9)


def test_use_golden():  # level 1: codes 5, 0, 7 of 3, 1, 1 items; level 2: codes 1, 0 of 4, 1
    use = measure_code_use(CODES, prefix_partitions(CODES), 8, 2)
    first, second = use.levels
    assert (first.codes_used, first.most_used_items, first.distinct_prefixes) == (3, 3, 3)
    assert first.items_by_rank == (3, 1, 1)
    entropy = -(0.6 * math.log(0.6) + 2 * 0.2 * math.log(0.2))
    assert first.perplexity == pytest.approx(math.exp(entropy))
    assert (second.codes_used, second.most_used_items, second.distinct_prefixes) == (2, 4, 4)
    assert use.ids_by_size == ((1, 3), (2, 1))
    assert (use.num_items, use.distinct_ids, use.colliding_items) == (5, 4, 1)
    assert (use.sharing_items, use.largest_group) == (2, 2)


def test_a_suffix_counts_for_ids_only():
    codes = as_codes([[1, 0], [1, 1], [1, 2], [2, 0]])
    use = measure_code_use(codes, prefix_partitions(codes), 8, 1)
    assert (use.distinct_ids, use.meaningful_ids, use.colliding_items) == (4, 2, 0)


def test_one_item():
    codes = as_codes([[3]])
    use = measure_code_use(codes, prefix_partitions(codes), 4, 1)
    assert use.levels[0].perplexity == 1
    assert (use.distinct_ids, use.colliding_items, use.largest_group) == (1, 0, 1)
