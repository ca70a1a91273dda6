"""Training in one stage: cross-entropy and another loss of the same targets, added up."""

from __future__ import annotations

from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from beamwise.objectives.base import CandidateScores, Metrics, ObjectiveConfig
from beamwise.objectives.cross_entropy import cross_entropy


class OneStageConfig(ObjectiveConfig):
    """Settings of objectives that may be added to cross-entropy."""

    weight: PositiveFloat = 1.0
    """Weight of this objective's own loss."""
    ce_weight: NonNegativeFloat = 0.0
    """Weight of cross-entropy beside it; above 0 both are trained in one stage."""


def one_stage_loss(
    scores: CandidateScores, loss: Float[Tensor, " batch"], config: OneStageConfig
) -> tuple[Float[Tensor, " batch"], Metrics]:
    """The sum that is trained on: ce_weight * CE + weight * loss.

    Args:
        scores: Of the targets; cross-entropy is that of candidate 0, at the scores' temperature.
        loss: The objective's own loss of every target, in nats.
        config: The two weights.

    Returns:
        The sum per target, and detached means to log: `own_loss`, the other loss before it is
        weighted, and `cross_entropy` where the scores have what it is made of, whatever its weight.

    Raises:
        ValueError: If cross-entropy has weight and the scores have no log-probabilities.
    """
    metrics: Metrics = {"own_loss": loss.detach().mean()}
    total = config.weight * loss
    if scores.log_probs is None and not config.ce_weight:
        return total, metrics
    token_loss = cross_entropy(scores.vocabulary_log_probs[:, 0], scores.counts[:, 0])
    metrics |= {"cross_entropy": token_loss.detach().mean()}
    # Left out, not multiplied by 0: a term without weight also costs no backward pass.
    return (total + config.ce_weight * token_loss if config.ce_weight else total), metrics
