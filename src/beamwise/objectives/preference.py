"""What preferences over whole items share: log-ratios to a reference, settings, what is logged."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from pydantic import PositiveFloat, field_validator
from torch import Tensor

from beamwise.objectives.base import CandidateScores, Metrics, Needs, Objective
from beamwise.objectives.competition import check_negatives
from beamwise.objectives.level_metrics import masked_mean
from beamwise.objectives.one_stage import OneStageConfig, one_stage_loss


def item_log_ratios(
    log_probs: Float[Tensor, "batch candidates levels"],
    reference_log_probs: Float[Tensor, "batch candidates levels"] | None = None,
) -> Float[Tensor, "batch candidates"]:
    """The log-ratios r = log pi(item | history) - log pi_ref(item | history).

    An item's log-probability is the sum of those of its tokens, never divided by their number.

    Args:
        log_probs: Of each token given those before it, in nats; 0 past an item's end.
        reference_log_probs: The same of the reference; log pi_ref = 0 where not given.

    Returns:
        r per candidate, in nats.
    """
    if reference_log_probs is None:
        return log_probs.sum(2)
    return (log_probs - reference_log_probs.to(log_probs.dtype)).sum(2)


def item_log_weights(
    log_weights: Float[Tensor, "batch candidates levels"],
    counts: Bool[Tensor, "batch candidates levels"],
) -> Float[Tensor, "batch candidates"]:
    """The weight of a candidate as a whole item: that of its longest prefix that counts."""
    lengths = torch.arange(1, counts.shape[2] + 1, device=counts.device)
    last = (lengths * counts).amax(2, keepdim=True).clamp(min=1) - 1
    return log_weights.gather(2, last)[..., 0]


def negative_shares(
    log_ratios: Float[Tensor, "batch candidates"],
    counts: Bool[Tensor, "batch candidates"] | None,
    log_weights: Float[Tensor, "batch candidates"] | None,
) -> Float[Tensor, "batch negatives"]:
    """Weights of a mean over the negatives that count: they sum to 1, or are all 0 without one."""
    log_shares = torch.zeros_like(log_ratios[:, 1:])
    if log_weights is not None:
        log_shares = log_weights[:, 1:].to(log_ratios.dtype)
    if counts is None:
        return log_shares.softmax(1)
    contested = counts[:, 1:].any(1, keepdim=True)
    log_shares = log_shares.masked_fill(~counts[:, 1:] & contested, -torch.inf)
    return log_shares.softmax(1).masked_fill(~contested, 0.0)


def negative_log_ratios(
    log_ratios: Float[Tensor, "batch candidates"], counts: Bool[Tensor, "batch candidates"] | None
) -> Float[Tensor, "batch negatives"]:
    """Log-ratios of the negatives, 0 and without gradient where they do not count.

    Raises:
        ValueError: If there are no negatives.
    """
    check_negatives(log_ratios.shape[1])
    if counts is None:
        return log_ratios[:, 1:]
    return log_ratios[:, 1:].masked_fill(~counts[:, 1:], 0.0)


class PreferenceConfig(OneStageConfig):
    """Settings that preferences over whole items share."""

    beta: PositiveFloat = 1.0
    """Factor of the log-ratios: the larger, the sooner the loss lets go of a target that wins."""
    reference: Literal["initial-weights", "none"] | Path = "initial-weights"
    """What log-probabilities are compared with: those of the weights that training, or its stage,
    began with, those of another run's folder, or nothing."""

    @field_validator("reference")
    @classmethod
    def _no_folder_of_that_name(cls, reference: Path | str) -> Path | str:
        """A folder that is called as a choice would come back from YAML as that choice."""
        if isinstance(reference, Path) and str(reference) in ("initial-weights", "none", "."):
            raise ValueError(
                f"the folder {str(reference)!r} cannot be told from a choice or from the folder "
                "that you are in: give its absolute path"
            )
        return reference


@runtime_checkable
class PreferenceLoss(Protocol):
    """A preference over whole items, as a pure function."""

    def __call__(
        self,
        log_ratios: Float[Tensor, "batch candidates"],
        counts: Bool[Tensor, "batch candidates"] | None = None,
        log_weights: Float[Tensor, "batch candidates"] | None = None,
        *,
        beta: float,
    ) -> Float[Tensor, " batch"]:
        """The loss of every target; 0 where no negative counts."""
        ...


class Preference(Objective):
    """A loss that wants the target preferred to its negatives, as whole items.

        L = weight * preference + ce_weight * CE

    per target. Negatives are the candidates that `CandidateScores.is_item` says are other items.
    """

    preference_loss: ClassVar[PreferenceLoss]

    def __init__(self, config: PreferenceConfig) -> None:
        super().__init__()
        self.config = config
        reference = None if config.reference == "none" else config.reference
        # a policy with dropout beside a reference without it differs from it by noise, and the
        # losses are convex in the difference: both are computed without
        self.needs = Needs(
            negatives=True,
            reference=reference,
            dropout=reference is None,
            temperature=config.temperature,
        )

    def forward(self, scores: CandidateScores) -> tuple[Float[Tensor, " batch"], Metrics]:
        """The loss of every target, and rewards and log-probabilities to log.

        Raises:
            ValueError: If there are no negatives, or no scores of the reference that is needed.
        """
        log_probs = scores.vocabulary_log_probs
        log_ratios = item_log_ratios(log_probs, self._reference_log_probs(scores))
        log_weights = scores.log_weights
        if log_weights is not None:
            log_weights = item_log_weights(log_weights, scores.counts)
        own_loss = self.preference_loss(
            log_ratios, scores.is_item, log_weights, beta=self.config.beta
        )
        loss, metrics = one_stage_loss(scores, own_loss, self.config)
        rewards = self.config.beta * log_ratios.detach()
        return loss, metrics | preference_metrics(rewards, log_probs, scores.is_item)

    def _reference_log_probs(
        self, scores: CandidateScores
    ) -> Float[Tensor, "batch candidates levels"] | None:
        if self.needs.reference is None:
            return None
        if scores.reference_log_probs is None:
            raise ValueError(
                f"reference={str(self.needs.reference)!r} and no reference_log_probs: score the "
                "candidates with it as well, or set reference=none"
            )
        return scores.reference_log_probs


def preference_metrics(
    rewards: Float[Tensor, "batch candidates"],
    log_probs: Float[Tensor, "batch candidates levels"],
    counts: Bool[Tensor, "batch candidates"] | None,
) -> Metrics:
    """What shows whether preferences are learned, or only learned by making everything improbable.

    Args:
        rewards: beta * r, column 0 the target.
        log_probs: Of the candidates' tokens, in nats; 0 past their ends.
        counts: Which negatives count; all where None.

    Returns:
        Detached means over targets, or negatives, that count: `active`, the share of targets with a
        negative; `target_wins`, the share of these whose reward is above every negative's;
        `reward_margin`, their reward less the mean of their negatives'; `target_reward` and
        `negative_reward`; `target_log_prob` and `negative_log_prob` of whole items. Where a margin
        grows while `target_log_prob` falls, the model loses items rather than learns to rank them.
    """
    counts = torch.ones_like(rewards, dtype=torch.bool) if counts is None else counts
    others, item_log_probs = counts[:, 1:], log_probs.detach().sum(2)
    contested = others.any(1)
    shares = others / others.sum(1, keepdim=True).clamp(min=1)
    negatives = rewards[:, 1:].masked_fill(~others, 0.0)
    beaten = (rewards[:, :1] > negatives) | ~others
    margins = rewards[:, 0] - (shares * negatives).sum(1)
    return {
        "active": contested.to(rewards.dtype).mean(),
        "target_wins": masked_mean(beaten.all(1), contested),
        "reward_margin": masked_mean(margins, contested),
        "target_reward": masked_mean(rewards[:, 0], contested),
        "negative_reward": masked_mean(rewards[:, 1:], others),
        "target_log_prob": item_log_probs[:, 0].mean(),
        "negative_log_prob": masked_mean(item_log_probs[:, 1:], others),
    }
