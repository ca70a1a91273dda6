"""Intervals cover what they promise; p-values are those of closed forms where there are any."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from beamwise.evaluation import significance
from beamwise.evaluation.significance import (
    holm,
    mean_interval,
    mean_intervals,
    paired_test,
    paired_tests,
)


def simulated(random, num_seeds, num_users, seed_std, mean=0.0):
    """Independent effects of seeds and of users, and noise of each pair, of variance 1 each."""
    seeds = seed_std * random.standard_normal((num_seeds, 1))
    users = random.standard_normal((1, num_users))
    return mean + seeds + users + random.standard_normal((num_seeds, num_users))


def test_without_user_differences_the_interval_is_students():
    # Each seed has one value for all users: 1, 2, 4, 6, 7. Mean 4, variance 26 / 4 = 6.5, so the
    # 95 % interval is 4 -+ 2.7764 sqrt(6.5 / 5) = 4 -+ 3.1656 (t with 4 degrees of freedom).
    values = np.repeat(np.array([[1.0], [2.0], [4.0], [6.0], [7.0]]), 30, axis=1)
    interval = mean_interval(values, resamples=200_000)
    assert interval.mean == 4
    assert interval.std == pytest.approx(math.sqrt(6.5))
    assert (interval.num_seeds, interval.covers_seeds) == (5, True)
    half = stats.t.ppf(0.975, 4) * math.sqrt(6.5 / 5)
    assert half == pytest.approx(3.1656, abs=1e-4)
    assert interval.high - 4 == pytest.approx(half, rel=0.02)  # drawn, not computed
    assert 4 - interval.low == pytest.approx(half, rel=0.02)


def test_with_one_seed_the_interval_is_that_of_users():
    values = np.random.default_rng(0).standard_normal((1, 2_000))
    interval = mean_interval(values, resamples=50_000)
    half = 1.96 * values.std() / math.sqrt(2_000)
    assert (interval.std, interval.covers_seeds) == (None, False)
    assert interval.high - interval.mean == pytest.approx(half, rel=0.03)
    test = paired_test(values, np.zeros((4, 2_000)), resamples=100)
    assert not test.covers_seeds


def test_without_seed_effects_p_is_the_z_test_on_users():
    random = np.random.default_rng(1)
    d = random.standard_normal(500) + 0.08
    a, b = np.stack([d, d]), np.zeros((2, 500))  # seeds have equal means, so no error of their own
    a[0] += np.tile([1.0, -1.0], 250)
    a[1] -= np.tile([1.0, -1.0], 250)
    test = paired_test(a, b, resamples=100_000)
    z = d.mean() / (d.std() / math.sqrt(500))
    assert test.covers_seeds
    assert test.difference == pytest.approx(d.mean())
    assert test.p == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.05)
    by_hand = d.mean() / (d.std(ddof=1) / math.sqrt(500))
    assert test.t_test_p == pytest.approx(2 * stats.t.sf(abs(by_hand), 499))


def test_with_seed_effects_alone_p_is_welchs():
    # All users alike, so that only the seeds' means 3, 4, 5 and 1, 2, 4, 4 are left to compare.
    a, b = (np.repeat(np.array([means]).T, 10, axis=1) for means in ([3.0, 4, 5], [1.0, 2, 4, 4]))
    test = paired_test(a, b, resamples=100_000)
    welch = stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    assert test.p == pytest.approx(welch.pvalue, rel=0.02)
    assert (test.low, test.high) == pytest.approx(tuple(welch.confidence_interval()), rel=0.05)
    assert test.t_test_p == 0  # these models do differ; the methods may not


@pytest.mark.parametrize(("num_seeds", "seed_std"), [(2, 1.0), (5, 1.0), (5, 0.3), (5, 0.0)])
def test_the_interval_of_a_mean_covers_95_percent(num_seeds, seed_std):
    random = np.random.default_rng(num_seeds)
    covered = 0
    for trial in range(400):
        values = simulated(random, num_seeds, 60, seed_std)
        interval = mean_interval(values, resamples=400, seed=trial)
        covered += interval.low <= 0 <= interval.high
    # 95 % -+ three standard errors of 1.1 %; up to 100 %, for noise is in both terms.
    assert covered / 400 > 0.917
    assert seed_std < 1 or covered / 400 < 0.983


@pytest.mark.parametrize(("num_seeds", "seed_std"), [((5, 5), 1.0), ((3, 6), 0.3)])
def test_a_true_null_is_rejected_in_5_percent(num_seeds, seed_std):
    random = np.random.default_rng(sum(num_seeds))
    rejected = covered = 0
    for trial in range(400):
        a, b = (simulated(random, n, 60, seed_std) for n in num_seeds)
        b += random.standard_normal((1, 60))  # a user may suit one method better
        test = paired_test(a, b, resamples=400, seed=trial)
        rejected += test.p < 0.05
        covered += test.low <= 0 <= test.high
    assert rejected / 400 < 0.083
    assert covered / 400 > 0.917
    assert abs((400 - covered) - rejected) <= 8  # the interval and p say the same


def test_matched_seeds_drop_what_they_share():
    """Seed effects of both methods are the same but for a fifth; users do not differ at all."""
    random = np.random.default_rng(11)
    shared, own = random.standard_normal(5), 0.2 * random.standard_normal(5)
    a = np.repeat((shared + own + 0.5)[:, None], 3, axis=1)
    b = np.repeat(shared[:, None], 3, axis=1)
    found = paired_test(a, b, matched=True, resamples=20_000)
    expected = stats.ttest_rel(a.mean(1), b.mean(1))
    assert found.difference == pytest.approx(0.5 + own.mean())
    assert found.p == pytest.approx(expected.pvalue, rel=0.15)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)
    apart = paired_test(a, b, resamples=20_000)
    assert apart.high - apart.low > 3 * (found.high - found.low)
    one = paired_test(a[:1], b[:1], matched=True)
    assert not one.covers_seeds


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.5])
def test_a_true_null_of_matched_seeds_is_rejected_in_5_percent(correlation):
    random = np.random.default_rng(17)
    rejected = 0
    for trial in range(400):
        effects = random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], 5)
        noise = random.standard_normal((2, 5, 40))
        a, b = (effects[:, place, None] + noise[place] for place in (0, 1))
        rejected += paired_test(a, b, matched=True, resamples=400, seed=trial).p < 0.05
    assert rejected / 400 < 0.083


def test_matched_seeds_must_be_as_many():
    with pytest.raises(ValueError, match="got 2 and 3 seeds that are said to match"):
        paired_test(np.ones((2, 4)), np.ones((3, 4)), matched=True)


def test_seeds_resampled_from_themselves_would_cover_too_little():
    """Why errors of seeds have Student's distribution: five of five cover far below 95 %."""
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        means = random.standard_normal(5)
        drawn = means[random.integers(5, size=(400, 5))].mean(1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        covered += low <= 0 <= high
    assert covered / 400 < 0.9


def test_a_real_difference_is_found_and_signed():
    random = np.random.default_rng(2)
    a = simulated(random, 5, 400, 0.05, mean=1.0)
    b = simulated(random, 5, 400, 0.05)
    test = paired_test(a, b, resamples=999)
    assert test.p == pytest.approx(2 / 1000)  # the finest that 999 resamples can say
    assert 0.5 < test.low < test.difference < test.high < 1.5
    mirrored = paired_test(b, a, resamples=999)
    assert mirrored.difference == -test.difference
    assert mirrored.high < 0


def test_no_differences_at_all():
    values = np.random.default_rng(3).random((3, 20))
    values = np.stack([values[0]] * 3)
    test = paired_test(values, values.copy(), resamples=50)
    assert (test.difference, test.low, test.high, test.p, test.t_test_p) == (0, 0, 0, 1, 1)
    one = paired_test(values[:1, :1], values[:1, :1] + 1, resamples=50)
    assert one.t_test_p == 1  # one user has no spread to compare with


def test_draws_depend_on_the_seed_alone(monkeypatch):
    random = np.random.default_rng(4)
    pairs = [(random.random((2, 30)), random.random((3, 30))) for _ in range(3)]
    together = paired_tests(pairs, resamples=200, seed=7)
    for test, (a, b) in zip(together, pairs, strict=True):
        assert astuple(test) == pytest.approx(astuple(paired_test(a, b, resamples=200, seed=7)))
    assert together != paired_tests(pairs, resamples=200, seed=8)
    values = [a for a, _ in pairs]
    for interval, a in zip(mean_intervals(values, resamples=200, seed=7), values, strict=True):
        assert astuple(interval) == pytest.approx(astuple(mean_interval(a, resamples=200, seed=7)))
    monkeypatch.setattr(significance, "DRAWS_AT_ONCE", 100)  # three resamples at once
    for test, again in zip(together, paired_tests(pairs, resamples=200, seed=7), strict=True):
        assert astuple(test) == pytest.approx(astuple(again))
    assert paired_tests([]) == mean_intervals([]) == []


def test_a_user_who_is_drawn_counts_for_both_methods():
    # Users differ widely, a - b is 0.1 for all: joint draws leave no spread.
    b = np.linspace(0, 100, 50)[None].repeat(2, axis=0)
    test = paired_test(b + 0.1, b, resamples=300)
    assert test.low == pytest.approx(0.1)
    assert test.high == pytest.approx(0.1)


def test_other_users_are_refused():
    with pytest.raises(ValueError, match="got 3 users and 4 users: evaluate both on the same"):
        paired_test(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="got 3 users and 4 users"):
        mean_intervals([np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(ValueError, match="got 0 seeds and 4 users"):
        mean_interval(np.zeros((0, 4)))
    with pytest.raises(ValueError, match="is not finite"):
        paired_test(np.zeros((1, 2)), np.array([[0.0, math.nan]]))


def test_holm_by_hand():
    # Sorted .01, .02, .03, .04 times 4, 3, 2, 1: .04, .06, .06 (not below the one before), .06.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
    with pytest.raises(ValueError, match=r"must be in 0\.\.1, got 1\.5"):
        holm([0.5, 1.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.99))
def test_holm_rejects_what_its_steps_reject(p_values, level):
    """Holm's own description: go through them in order, stop at the first that is not small."""
    rejected = set()
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if (len(p_values) - place) * p_values[index] > level:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == rejected
