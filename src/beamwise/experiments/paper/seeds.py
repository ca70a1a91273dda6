"""Values of several seeds' runs: their means, and differences of two methods, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from beamwise.report.section import Estimate

CONFIDENCE = 0.95
OVER_SEEDS = (
    "Means over the seeds' runs; intervals are 95 % of Student's t over seeds, for the same users, "
    "and there are none where one seed was run. Two methods are compared on the seeds that both "
    "have, seed by seed."
)
"""How to read what `over_seeds` and `seed_difference` give."""
Mine = TypeVar("Mine")
Theirs = TypeVar("Theirs")


class SeedDifference(NamedTuple):
    """One method minus another on the same seeds."""

    estimate: Estimate
    p: float | None
    """Two-sided, of Student's t over the seeds' differences; None of one seed."""

    @property
    def is_established(self) -> bool:
        """Whether the interval leaves out 0; never with one seed."""
        low, high = self.estimate.low, self.estimate.high
        return low is not None and high is not None and not low <= 0 <= high


def over_seeds(values: Sequence[float]) -> Estimate:
    """The mean of a value of several seeds' runs, with Student's interval; of one, the value.

    Raises:
        ValueError: If there are no values.
    """
    if not values:
        raise ValueError("there are no values to take the mean of: give one a seed")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Estimate(mean=mean)
    from scipy.stats import t  # half a second of import that only intervals need

    reach = _error(values) * float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return Estimate(mean=mean, low=mean - reach, high=mean + reach)


def pairs(mine: Mapping[int, Mine], theirs: Mapping[int, Theirs]) -> list[tuple[Mine, Theirs]]:
    """What both have of the same seed, in the order of the first."""
    return [(value, theirs[seed]) for seed, value in mine.items() if seed in theirs]


def seed_difference(
    mine: Mapping[int, float], theirs: Mapping[int, float]
) -> SeedDifference | None:
    """The mean difference over the seeds that both have; None where they share none.

    With d the differences, S of them, and s their standard deviation, p is that of
    mean(d) / (s / sqrt(S)) under Student's t with S - 1 degrees of freedom. Where all are equal p
    is 1 if they are 0, else 0.
    """
    differences = [one - other for one, other in pairs(mine, theirs)]
    if not differences:
        return None
    found = over_seeds(differences)
    if len(differences) == 1:
        return SeedDifference(found, None)
    error = _error(differences)
    if error == 0:
        return SeedDifference(found, 0.0 if found.mean else 1.0)
    from scipy.stats import t

    return SeedDifference(found, 2 * float(t.sf(abs(found.mean) / error, len(differences) - 1)))


def seed_ratio(mine: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """The mean of ratios over the seeds that both have; None where none has one."""
    ratios = [one / other for one, other in pairs(mine, theirs) if other]
    return over_seeds(ratios) if ratios else None


def _error(values: Sequence[float]) -> float:
    """Of the mean; exactly 0 where all are equal."""
    if min(values) == max(values):
        return 0.0
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
