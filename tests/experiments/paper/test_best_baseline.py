"""The best of the others: on validation targets, over the seeds that are compared."""

import pytest

from beamwise.experiments.paper.best_baseline import best_baseline, candidates, seeds_of_own
from beamwise.report.objective_comparison import RunFigures

from .conftest import method


def runs(**best):
    return [RunFigures(int(seed[1:]), 4, value, None) for seed, value in best.items()]


METHODS = [
    method("ce", runs=runs(s0=0.05, s1=0.05)),
    method("msl", runs=runs(s0=0.07, s1=0.06)),
    method("ce-dpo", runs=runs(s0=0.5)),
    method("ce-dmpo", runs=runs(s0=0.9, s1=None)),
    method("ce-apao-pairwise", runs=runs(s0=0.8, s1=0.8)),
    method("apao-pairwise", runs=runs(s0=0.9, s1=0.9, s2=0.9)),
    method("apao-pointwise", runs=runs(s1=0.9, s0=0.9)),
]


def test_those_with_all_seeds_are_compared():
    assert seeds_of_own(METHODS) == (0, 1)
    assert candidates(METHODS, (0, 1)) == ("ce", "msl")
    assert best_baseline(METHODS, (0, 1)).name == "msl"
    assert best_baseline(METHODS, (0,)).name == "ce-dmpo"
    assert seeds_of_own(METHODS[:5]) == ()


def test_where_there_is_none_that_is_said():
    with pytest.raises(
        ValueError, match=r"no method beside apao has validated runs of all .* \(0, 2\)"
    ):
        best_baseline(METHODS, (0, 2))
    with pytest.raises(ValueError, match=r"\(none\)"):
        best_baseline(METHODS, ())
