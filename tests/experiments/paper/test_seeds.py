"""Means over seeds, and differences of what two methods have of the same seeds."""

import math

import pytest

from beamwise.experiments.paper.seeds import over_seeds, pairs, seed_difference, seed_ratio


def test_means_over_seeds_have_students_interval():
    # mean 3, standard deviation 1, error 1/sqrt(3); t of 2 degrees at .975 is 4.302653
    found = over_seeds([2.0, 3.0, 4.0])
    assert found.mean == 3.0
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), abs=1e-5)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert over_seeds([5.0]).model_dump() == {"mean": 5.0, "low": None, "high": None}
    with pytest.raises(ValueError, match="no values to take the mean of"):
        over_seeds([])


def test_only_shared_seeds_are_paired():
    mine, theirs = {0: 1.0, 2: 5.0, 3: 9.0}, {3: 3.0, 1: 100.0, 0: 2.0}
    assert pairs(mine, theirs) == [(1.0, 2.0), (9.0, 3.0)]
    assert seed_difference(mine, theirs).estimate.mean == 2.5  # of -1 and 6
    assert seed_ratio(mine, theirs).mean == pytest.approx(1.75)  # of 1/2 and 3
    assert seed_ratio({0: 1.0, 1: 4.0}, {0: 0.0, 1: 2.0}).mean == 2.0  # nothing by 0
    assert seed_ratio({0: 1.0}, {0: 0.0}) is None
    assert seed_difference({0: 1.0}, {1: 1.0}) is None


def test_a_difference_has_students_p():
    # differences 1, 2, 3: t = 2 sqrt(3) of 2 degrees, two-sided 1 - t / sqrt(t^2 + 2)
    found = seed_difference({0: 2.0, 1: 4.0, 2: 6.0}, {0: 1.0, 1: 2.0, 2: 3.0})
    t = 2 * math.sqrt(3)
    assert found.p == pytest.approx(1 - t / math.sqrt(t * t + 2))
    assert not found.is_established  # the interval is 2 -+ 4.3027 / sqrt(3)
    assert seed_difference({0: 9.0, 1: 9.1}, {0: 1.0, 1: 1.0}).is_established
    alone = seed_difference({0: 9.0}, {0: 1.0})
    assert (alone.estimate.low, alone.p, alone.is_established) == (None, None, False)
    assert seed_difference({0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0}).p == 1.0
    assert seed_difference({0: 2.0, 1: 2.0}, {0: 1.0, 1: 1.0}).p == 0.0
