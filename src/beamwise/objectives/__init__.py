"""Losses over the scores of a target and its candidates, by name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from beamwise.objectives.base import CandidateScores, Needs, Objective, ObjectiveConfig
from beamwise.objectives.beam_aware import BeamAware, BeamAwareConfig
from beamwise.objectives.cross_entropy import CrossEntropy, CrossEntropyConfig
from beamwise.objectives.dmpo import DMPO, DMPOConfig
from beamwise.objectives.dpo import DPO, DPOConfig
from beamwise.objectives.masked_softmax import MaskedSoftmax, MaskedSoftmaxConfig
from beamwise.objectives.prefix_alignment import (
    PairwisePrefixAlignment,
    PairwisePrefixAlignmentConfig,
    PointwisePrefixAlignment,
    PointwisePrefixAlignmentConfig,
)
from beamwise.objectives.prefix_survival import PrefixSurvival, PrefixSurvivalConfig
from beamwise.objectives.smoothed_softmax import SmoothedSoftmax, SmoothedSoftmaxConfig
from beamwise.objectives.softmax_dpo import SoftmaxDPO, SoftmaxDPOConfig

OBJECTIVES: dict[str, type[Objective]] = {
    "ce": CrossEntropy,
    "apao-pointwise": PointwisePrefixAlignment,
    "apao-pairwise": PairwisePrefixAlignment,
    "msl": MaskedSoftmax,
    "dpo": DPO,
    "dmpo": DMPO,
    "s-dpo": SoftmaxDPO,
    "bear": BeamAware,
    "prefix-survival": PrefixSurvival,
    "smoothed": SmoothedSoftmax,
}
"""`OBJECTIVES[name](config)` builds an objective; `OBJECTIVES[name].Config` is its settings."""

AnyObjectiveConfig = Annotated[
    CrossEntropyConfig
    | PointwisePrefixAlignmentConfig
    | PairwisePrefixAlignmentConfig
    | MaskedSoftmaxConfig
    | DPOConfig
    | DMPOConfig
    | SoftmaxDPOConfig
    | BeamAwareConfig
    | PrefixSurvivalConfig
    | SmoothedSoftmaxConfig,
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
