"""Prefix survival: every prefix of the target among the K best of all legal ones, at CE's price."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from beamwise.objectives.base import CandidateScores, Metrics, Needs, Objective
from beamwise.objectives.beam_widths import BeamWidth, beam_widths, check_beam_width
from beamwise.objectives.level_metrics import level_means
from beamwise.objectives.masked_softmax import (
    Average,
    counted_tokens,
    legal_log_probs,
    legal_logits_of,
    mean_of_counted,
)
from beamwise.objectives.one_stage import OneStageConfig, one_stage_loss
from beamwise.objectives.smoothed_softmax import smoothed_log_probs


def prefix_survival_losses(
    log_probs: Float[Tensor, "batch levels"], beam_width: Int64[Tensor, "#levels"]
) -> Float[Tensor, "batch levels"]:
    """All legal prefixes against the target's, weighed so that K - 1 may be as good as it.

        L(m) = log(1 + exp(phi_m) / K),  exp(phi_m) = (1 - P_m) / P_m

    where P_m is the probability of the target's first m tokens under the legal softmax, the
    product of its steps'. Those of all prefixes of length m, and of the items that end before, sum
    to 1, so the competition phi of APAO's Eq. (14) is exact without scoring any competitor. A
    prefix that K others reach has exp(phi_m) >= K, so L(m) < log 2 is a proof that a beam of K
    keeps it. With K = 1 the loss is -log P_m.

    Computed as log((1 - 1/K) + exp(-log P_m - log K)), the same value, which cannot overflow and
    is smooth where P_m is 1. Its derivative by log P_m is -1 / (1 + (K - 1) P_m): that of
    cross-entropy where P_m is far below 1 / K, and K times weaker where nothing is left to gain.

    Args:
        log_probs: Of each target token over the legal tokens, in nats; 0 past its end.
        beam_width: K, one for all levels or one a level, >= 1.

    Returns:
        Loss per target and length, in nats, at least 0; past its end that of the whole path.
    """
    width = beam_width.to(log_probs.dtype)
    free = torch.log1p(-1 / width).expand_as(log_probs)
    return torch.logaddexp(-log_probs.cumsum(1) - width.log(), free)


class PrefixSurvivalConfig(OneStageConfig):
    """Settings of `prefix-survival`."""

    name: Literal["prefix-survival"] = "prefix-survival"
    beam_width: BeamWidth = 20
    """K, the beam's width in decoding: one for all levels or one a level. Smaller goes on pushing
    prefixes that are safe in the beam; 1 is cross-entropy of every prefix."""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of a token's mass that is spread evenly over the legal tokens of its step."""
    average: Average = "tokens"
    """Mean over the prefixes that end with any token, or with one that had an alternative
    (branching). A forced token leaves a prefix as probable as it was, so where items are titles the
    former weighs a prefix by the length of the forced run behind it."""


class PrefixSurvival(Objective):
    """Mean over the target's prefixes of `prefix_survival_losses`.

    A token counts in the loss of every prefix that holds it, so early tokens, on which all later
    ones depend, weigh most. Labels may be smoothed over legal siblings (`smoothed_log_probs`). What
    the losses prove holds for a search that masks before the softmax, with temperature 1 and
    without smoothing.
    """

    Config = PrefixSurvivalConfig
    widths: Int64[Tensor, " levels_or_one"]

    def __init__(self, config: PrefixSurvivalConfig) -> None:
        super().__init__()
        self.config = config
        self.needs = Needs(
            legal_logits=True, vocabulary=config.ce_weight > 0, temperature=config.temperature
        )
        self.register_buffer("widths", beam_widths(config.beam_width), persistent=False)

    def check(self, num_levels: int) -> None:
        """Refuse a catalog whose levels `beam_width` does not fit."""
        check_beam_width(self.config.beam_width, num_levels)

    def forward(self, scores: CandidateScores) -> tuple[Float[Tensor, " batch"], Metrics]:
        """The loss of every target.

        Logged beside what `one_stage_loss` logs: `prefix_loss_m`, and `unproved_m`, the share of
        the targets whose prefix of m tokens the loss does not prove to be among the K best, at a
        temperature of 1.
        """
        legal = legal_logits_of(scores)
        counted = counted_tokens(legal, self.config.average)
        log_probs = smoothed_log_probs(legal, smoothing=self.config.smoothing)
        losses = prefix_survival_losses(log_probs, self.widths)
        total, metrics = one_stage_loss(scores, mean_of_counted(losses, counted), self.config)
        proved = prefix_survival_losses(legal_log_probs(legal), self.widths) < math.log(2)
        return total, metrics | (
            level_means("prefix_loss", losses, counted) | level_means("unproved", ~proved, counted)
        )
