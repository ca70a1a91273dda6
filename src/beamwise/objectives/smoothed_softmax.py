"""Label smoothing on the prefix tree: part of the target's mass goes to its legal siblings."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from beamwise._segments import segment_sum
from beamwise.objectives.base import CandidateScores, LegalLogits, Metrics, Needs, Objective
from beamwise.objectives.level_metrics import level_means
from beamwise.objectives.masked_softmax import (
    Average,
    counted_tokens,
    legal_log_probs,
    legal_logits_of,
    mean_of_counted,
    target_logits,
)
from beamwise.objectives.one_stage import OneStageConfig, one_stage_loss


def smoothed_log_probs(legal: LegalLogits, *, smoothing: float) -> Float[Tensor, "batch levels"]:
    """Expected log-probability of a step if its label is uncertain, over its legal tokens.

        (1 - smoothing) log p(y_t) + smoothing * mean_c log p(c),  c the legal tokens

    Its negative is the cross-entropy to a label that keeps 1 - smoothing of its mass; smoothing 0
    gives `legal_log_probs`. At every step of a path this spreads mass over items: that which leaves
    the path after m tokens is (1 - smoothing)^m * smoothing, shared by the items beside it there;
    siblings late in the tree are few, so the target's neighbours get more each than strangers do.

    Returns:
        In nats; 0 where one token is legal, and 0 past a target's end.
    """
    log_probs = legal_log_probs(legal)
    if smoothing == 0:
        return log_probs
    sums = segment_sum(legal.logits, legal.counts.flatten()).view(legal.counts.shape)
    # mean_c log p(c) = log p(y) + mean_c z(c) - z(y): one normaliser serves both.
    others = sums / legal.counts.clamp(min=1) - target_logits(legal)
    return log_probs + smoothing * others.masked_fill(legal.counts <= 1, 0.0)


class SmoothedSoftmaxConfig(OneStageConfig):
    """Settings of `smoothed`."""

    name: Literal["smoothed"] = "smoothed"
    smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of a token's mass that is spread evenly over the legal tokens of its step."""
    average: Average = "tokens"
    """As in `msl`: mean over all tokens of a target, or over those with more than one legal choice
    (branching); the others have no loss."""


class SmoothedSoftmax(Objective):
    """Cross-entropy over the legal tokens, with labels smoothed over them at every step.

    Decode with the mask before the softmax.
    """

    Config = SmoothedSoftmaxConfig

    def __init__(self, config: SmoothedSoftmaxConfig) -> None:
        super().__init__()
        self.config = config
        self.needs = Needs(
            legal_logits=True, vocabulary=config.ce_weight > 0, temperature=config.temperature
        )

    def forward(self, scores: CandidateScores) -> tuple[Float[Tensor, " batch"], Metrics]:
        """The mean over a target's tokens of minus `smoothed_log_probs`; logs each level's."""
        legal = legal_logits_of(scores)
        losses = -smoothed_log_probs(legal, smoothing=self.config.smoothing)
        counted = counted_tokens(legal, self.config.average)
        total, metrics = one_stage_loss(scores, mean_of_counted(losses, counted), self.config)
        return total, metrics | level_means("smoothed_token_loss", losses, counted)
