"""Cross-entropy of the target's tokens, the objective that all others are compared with."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from beamwise.objectives.base import CandidateScores, Needs, Objective, ObjectiveConfig


def cross_entropy(
    log_probs: Float[Tensor, "batch levels"], exists: Bool[Tensor, "batch levels"]
) -> Float[Tensor, " batch"]:
    """Cross-entropy of an item, APAO Eq. (4): the mean over its tokens of -log p.

    Args:
        log_probs: Of each target token given the true ones before it, in nats.
        exists: False past a target's end; every target has at least one token.

    Returns:
        Loss per target, in nats a token; the caller averages.
    """
    return -torch.where(exists, log_probs, 0.0).sum(1) / exists.sum(1)


class CrossEntropyConfig(ObjectiveConfig):
    """Settings of `ce`."""

    name: Literal["ce"] = "ce"


class CrossEntropy(Objective):
    """Teacher-forced cross-entropy of the target alone."""

    Config = CrossEntropyConfig

    def __init__(self, config: CrossEntropyConfig) -> None:
        super().__init__()
        self.needs = Needs(temperature=config.temperature)

    def forward(
        self, scores: CandidateScores
    ) -> tuple[Float[Tensor, " batch"], dict[str, Float[Tensor, ""]]]:
        """`cross_entropy` of candidate 0; other candidates are ignored."""
        loss = cross_entropy(scores.log_probs[:, 0], scores.counts[:, 0])
        return loss, {"cross_entropy": loss.detach().mean()}
