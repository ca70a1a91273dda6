"""Losses over the scores of a target and its candidates, by name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from beamwise.objectives.base import CandidateScores, Needs, Objective, ObjectiveConfig
from beamwise.objectives.cross_entropy import CrossEntropy, CrossEntropyConfig
from beamwise.objectives.prefix_alignment import (
    PairwisePrefixAlignment,
    PairwisePrefixAlignmentConfig,
    PointwisePrefixAlignment,
    PointwisePrefixAlignmentConfig,
)

OBJECTIVES: dict[str, type[Objective]] = {
    "ce": CrossEntropy,
    "apao-pointwise": PointwisePrefixAlignment,
    "apao-pairwise": PairwisePrefixAlignment,
}
"""`OBJECTIVES[name](config)` builds an objective; `OBJECTIVES[name].Config` is its settings."""

AnyObjectiveConfig = Annotated[
    CrossEntropyConfig | PointwisePrefixAlignmentConfig | PairwisePrefixAlignmentConfig,
    Field(discriminator="name"),
]
"""The settings of any objective, told apart by `name`."""

__all__ = [
    "OBJECTIVES",
    "AnyObjectiveConfig",
    "CandidateScores",
    "Needs",
    "Objective",
    "ObjectiveConfig",
]
