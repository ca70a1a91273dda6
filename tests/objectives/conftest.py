"""Random candidate scores for the tests of objectives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from beamwise.objectives import CandidateScores
from beamwise.testing.random_scores import random_scores

MakeScores = Callable[..., CandidateScores]


@pytest.fixture
def make_scores() -> MakeScores:
    """`random_scores`: of `seed`, sizes, and what else is asked for (`legal`, `reference`, ...)."""
    return random_scores
