"""Cross-entropy of the target's tokens, the objective that all others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat, field_validator
from torch import Tensor

from beamwise.objectives.base import CandidateScores, Metrics, Needs, Objective, ObjectiveConfig
from beamwise.objectives.level_metrics import level_means


def cross_entropy(
    log_probs: Float[Tensor, "batch levels"],
    exists: Bool[Tensor, "batch levels"],
    level_weights: Float[Tensor, " levels"] | None = None,
) -> Float[Tensor, " batch"]:
    """Cross-entropy of an item, APAO Eq. (4): the mean over its tokens of -log p.

    With weights it is sum_t w_t (-log p_t) / T over the T tokens of the target.

    Args:
        log_probs: Of each target token given the true ones before it, in nats.
        exists: False past a target's end; every target has at least one token.
        level_weights: w, >= 0, as they are: `mean_one` gives them mean 1; all 1 where None.

    Returns:
        Loss per target, in nats a token; the caller averages.
    """
    token_losses = -torch.where(exists, log_probs, 0.0)
    if level_weights is not None:
        token_losses = token_losses * level_weights.to(log_probs.dtype)
    return token_losses.sum(1) / exists.sum(1)


def mean_one(weights: Sequence[float]) -> tuple[float, ...]:
    """The weights divided by their mean.

    Raises:
        ValueError: If one is below 0, or none above.
    """
    if min(weights, default=0.0) < 0 or sum(weights) <= 0:
        raise ValueError(f"weights must be >= 0, one of them above 0, got {list(weights)}")
    mean = sum(weights) / len(weights)
    return tuple(weight / mean for weight in weights)


class CrossEntropyConfig(ObjectiveConfig):
    """Settings of `ce`."""

    name: Literal["ce"] = "ce"
    level_weights: tuple[NonNegativeFloat, ...] | None = None
    """Weight of each token of an item, one a level, divided by their mean; equal where not set."""

    @field_validator("level_weights")
    @classmethod
    def _weigh_something(cls, weights: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if weights is not None:
            mean_one(weights)
        return weights


class CrossEntropy(Objective):
    """Teacher-forced cross-entropy of the target alone."""

    Config = CrossEntropyConfig
    level_weights: Float[Tensor, " levels"] | None

    def __init__(self, config: CrossEntropyConfig) -> None:
        super().__init__()
        self.needs = Needs(temperature=config.temperature)
        weights = config.level_weights
        weights = None if weights is None else torch.tensor(mean_one(weights))
        self.register_buffer("level_weights", weights, persistent=False)

    def check(self, num_levels: int) -> None:
        """Refuse weights of which there is not one a level."""
        if self.level_weights is not None and len(self.level_weights) != num_levels:
            raise ValueError(
                f"level_weights holds {len(self.level_weights)} weights and items have "
                f"{num_levels} levels: give one a level"
            )

    def forward(self, scores: CandidateScores) -> tuple[Float[Tensor, " batch"], Metrics]:
        """`cross_entropy` of candidate 0; other candidates are ignored.

        What is logged is not weighted: `cross_entropy`, and `token_loss_t` of every level.
        """
        log_probs, exists = scores.vocabulary_log_probs[:, 0], scores.counts[:, 0]
        plain = cross_entropy(log_probs, exists)
        metrics = {"cross_entropy": plain.detach().mean()}
        metrics |= level_means("token_loss", -log_probs, exists)
        if self.level_weights is None:
            return plain, metrics
        return cross_entropy(log_probs, exists, self.level_weights), metrics
