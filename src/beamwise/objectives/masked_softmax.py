"""Cross-entropy over the legal tokens (MSL): the target's against those that lead to items."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor

from beamwise._segments import segment_logsumexp
from beamwise.objectives.adaptive_temperature import AdaptiveTemperature
from beamwise.objectives.base import CandidateScores, LegalLogits, Metrics, Needs, Objective
from beamwise.objectives.level_metrics import level_means
from beamwise.objectives.one_stage import OneStageConfig, one_stage_loss

Average = Literal["tokens", "branching"]


def legal_logits_of(scores: CandidateScores) -> LegalLogits:
    """The legal logits, which the scorer gives where `Needs.legal_logits` asks for them.

    Raises:
        ValueError: If there are none.
    """
    if scores.legal is None:
        raise ValueError("need the legal tokens' logits, got none: score with legal_logits=True")
    return scores.legal


def target_logits(legal: LegalLogits) -> Float[Tensor, "batch levels"]:
    """Logits of the targets' own tokens; of any token past a target's end."""
    places = legal.target_place
    return legal.logits.index_select(0, places.flatten()).view(places.shape)


def legal_log_probs(legal: LegalLogits) -> Float[Tensor, "batch levels"]:
    """Log-softmax over the legal tokens of each step, at the target's token.

    The probabilities with which a search ranks that masks before the softmax: those of all legal
    prefixes of one length sum to 1.

    Returns:
        In nats; exactly 0 where one token is legal, and 0 past a target's end.
    """
    normalizers = segment_logsumexp(legal.logits, legal.counts.flatten())
    log_probs = target_logits(legal) - normalizers.view(legal.counts.shape)
    return log_probs.masked_fill(legal.counts == 0, 0.0)


def counted_tokens(legal: LegalLogits, average: Average) -> Bool[Tensor, "batch levels"]:
    """Tokens that a mean runs over: all of a target's, or those with more than one choice."""
    return legal.counts > (0 if average == "tokens" else 1)


def mean_of_counted(
    losses: Float[Tensor, "batch levels"], counted: Bool[Tensor, "batch levels"]
) -> Float[Tensor, " batch"]:
    """Mean over the tokens of a target that count; 0 where none does."""
    return torch.where(counted, losses, 0.0).sum(1) / counted.sum(1).clamp(min=1)


class MaskedSoftmaxConfig(OneStageConfig):
    """Settings of `msl`."""

    name: Literal["msl"] = "msl"
    average: Average = "tokens"
    """Mean over all tokens of a target, or over those with more than one legal choice (branching);
    the others have no loss."""
    adaptive_temperature: bool = False
    """Let the temperature follow the model's logits; `temperature` is then not set."""
    initial_temperature: PositiveFloat = 1.5
    """Adaptive: where it starts."""
    lowest_temperature: PositiveFloat = 1.5
    """Adaptive: lower bound of a micro-batch's temperature."""
    highest_temperature: PositiveFloat = 5.0
    """Adaptive: upper bound; also the value where `eta` times the tokens that the first branching
    step has is at most 1."""
    smoothing: float = Field(default=0.05, gt=0, le=1)
    """Adaptive: share that a micro-batch has in the temperature that follows it."""
    eta: float = Field(default=0.25, gt=0, le=1)
    """Adaptive: share of the first branching step's tokens that a target's should weigh as much
    as."""

    @model_validator(mode="after")
    def _consistent(self) -> MaskedSoftmaxConfig:
        if self.adaptive_temperature and self.temperature != 1.0:
            raise ValueError(
                f"temperature={self.temperature} and adaptive_temperature exclude each other: "
                "set initial_temperature"
            )
        if self.lowest_temperature > self.highest_temperature:
            raise ValueError(
                f"lowest_temperature={self.lowest_temperature} must be at most "
                f"highest_temperature={self.highest_temperature}: exchange them"
            )
        return self


class MaskedSoftmax(Objective):
    """Cross-entropy under the legal softmax at temperature tau (MSL, arXiv:2504.04178).

        L = mean_t -log softmax(logits_t / tau) over the tokens that are legal at step t

    With an adaptive temperature (`AdaptiveTemperature`) L is multiplied by tau, so that the pull on
    a logit does not shrink as tau grows. Decode with the mask before the softmax.
    """

    Config = MaskedSoftmaxConfig

    def __init__(self, config: MaskedSoftmaxConfig) -> None:
        super().__init__()
        self.config = config
        self.needs = Needs(
            legal_logits=True,
            vocabulary=config.ce_weight > 0,
            temperature=config.temperature,
            micro_batches=config.adaptive_temperature,
            moving_loss=config.adaptive_temperature,
        )
        self.adaptive = (
            AdaptiveTemperature(
                initial=config.initial_temperature,
                lowest=config.lowest_temperature,
                highest=config.highest_temperature,
                smoothing=config.smoothing,
                eta=config.eta,
            )
            if config.adaptive_temperature
            else None
        )

    def begin_update(self, micro_batch: bool, step: bool) -> None:  # noqa: ARG002
        """Tell the temperature whether the next batch opens a micro-batch."""
        if self.adaptive is not None:
            self.adaptive.begin_update(micro_batch=micro_batch)

    def forward(self, scores: CandidateScores) -> tuple[Float[Tensor, " batch"], Metrics]:
        """The loss of every target.

        Logged beside what `one_stage_loss` logs: `legal_token_loss_t`, the mean over the tokens of
        level t that count, and `temperature` where it adapts.
        """
        legal = legal_logits_of(scores)
        counted = counted_tokens(legal, self.config.average)
        if self.adaptive is None:
            losses = -legal_log_probs(legal)
            total, metrics = one_stage_loss(scores, mean_of_counted(losses, counted), self.config)
        else:
            temperature = self.adaptive(legal)
            cooled = replace(legal, logits=legal.logits / temperature)
            losses = -legal_log_probs(cooled)
            loss = temperature * mean_of_counted(losses, counted)
            total, metrics = one_stage_loss(scores, loss, self.config)
            metrics |= {"temperature": temperature}
        return total, metrics | level_means("legal_token_loss", losses, counted)
