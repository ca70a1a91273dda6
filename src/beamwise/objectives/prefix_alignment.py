"""Prefix alignment (APAO): every prefix of the target, not only the whole, must score well."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor
from torch.nn.functional import softplus

from beamwise.objectives.base import CandidateScores, Needs, Objective, ObjectiveConfig
from beamwise.objectives.cross_entropy import cross_entropy
from beamwise.objectives.prefix_weights import (
    STATEFUL_FORMS,
    PrefixWeights,
    UpdateEvery,
    WeightForm,
)


def pointwise_prefix_losses(
    log_probs: Float[Tensor, "batch levels"], exists: Bool[Tensor, "batch levels"]
) -> Float[Tensor, "batch levels"]:
    """Cross-entropy of every prefix, APAO Eq. (12): L(m) = -1/m sum_{t <= m} log p_t.

    Args:
        log_probs: Of each target token given the true ones before it, in nats.
        exists: False past a target's end.

    Returns:
        Loss per target and prefix length, in nats a token; 0 where there is no such prefix.
    """
    prefix_scores = torch.where(exists, log_probs, 0.0).cumsum(1)
    lengths = torch.arange(1, log_probs.shape[1] + 1, device=log_probs.device)
    return torch.where(exists, -prefix_scores / lengths, 0.0)


def competition_log_odds(
    log_probs: Float[Tensor, "batch candidates levels"],
    counts: Bool[Tensor, "batch candidates levels"],
    log_weights: Float[Tensor, "batch candidates levels"] | None = None,
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "batch levels"]:
    """How much the competing prefixes outweigh the target's: phi of APAO's Eq. (14).

    With s_j(m) the sum of candidate j's first m log-probabilities (Eq. 13), 0 the target, and v_j
    the weight of a competitor (1 where not given):

        phi(m) = log sum_{j > 0 that counts} v_j(m) exp((s_j(m) - s_0(m)) / temperature)

    Args:
        log_probs: Of each token given those before it, in nats, candidate 0 the target.
        counts: Which prefixes compete, as in `CandidateScores`.
        log_weights: log v, as in `CandidateScores`.
        temperature: Divides the score differences, > 0.

    Returns:
        phi per target and length, in nats; -inf, with zero gradient, where nothing competes or the
        target has no such prefix.

    Raises:
        ValueError: If there are no negatives.
    """
    num_candidates = log_probs.shape[1]
    if num_candidates < 2:
        raise ValueError(
            f"need a target and >= 1 negative, got {num_candidates} candidate(s): "
            "score sampled negatives as candidates 1, 2, ..."
        )
    prefix_scores = log_probs.cumsum(2)
    terms = (prefix_scores[:, 1:] - prefix_scores[:, :1]) / temperature
    if log_weights is not None:
        terms = terms + log_weights[:, 1:].to(terms.dtype)
    competes = counts[:, 1:] & counts[:, :1]
    contested = competes.any(1)
    # Where nothing competes, logsumexp runs over zeros: over -inf alone its gradient is NaN.
    terms = terms.masked_fill(~competes, -torch.inf).masked_fill(~contested[:, None], 0.0)
    return terms.logsumexp(1).masked_fill(~contested, -torch.inf)


def pairwise_prefix_losses(
    log_odds: Float[Tensor, "batch levels"], *, divide_by_length: bool = False
) -> Float[Tensor, "batch levels"]:
    """Target prefix against its competitors, APAO Eq. (14): L(m) = -log sigmoid(-phi(m)).

    Computed as softplus(phi), which is the same value and cannot overflow.

    Args:
        log_odds: phi, as `competition_log_odds` gives it.
        divide_by_length: L(m) / m, as APAO's Algorithm 1 and its released code have it. This
            form certifies nothing about the beam (see `survival_bound`).

    Returns:
        Loss per target and prefix length, in nats; 0 where nothing competes.
    """
    losses = softplus(log_odds)
    if divide_by_length:
        return losses / torch.arange(1, losses.shape[1] + 1, device=losses.device)
    return losses


class PrefixAlignmentConfig(ObjectiveConfig):
    """Settings that both forms of prefix alignment share."""

    beta: NonNegativeFloat = 0.2
    """Weight of the prefix-aware term."""
    ce_weight: NonNegativeFloat = 1.0
    """Weight of cross-entropy; 0 trains on the prefix-aware term alone."""
    prefix_weights: WeightForm = "eq17"
    """How prefix lengths are weighed: equally (uniform), the worst only (hard-max), by the paper's
    equation (eq17) or its algorithm (algorithm1), or in proportion to the loss (released)."""
    eta: NonNegativeFloat = 3e-5
    """Step size of the weights' exponent."""
    update_every: UpdateEvery = "micro_batch"
    """What makes one update of the weights: a micro-batch or an optimiser step."""
    prefixes: tuple[PositiveInt, ...] | None = None
    """Prefix lengths that carry weight, ascending from 1; all of them where not set."""
    max_levels: PositiveInt = 16
    """Levels that the state of the weights has room for; at least the catalog's."""

    @model_validator(mode="after")
    def _consistent(self) -> PrefixAlignmentConfig:
        if self.beta == 0 and self.ce_weight == 0:
            raise ValueError("beta and ce_weight are both 0, so there is no loss: raise one")
        if self.prefixes is None:
            return self
        ascending = list(self.prefixes) == sorted(set(self.prefixes))
        if not self.prefixes or not ascending or self.prefixes[-1] > self.max_levels:
            raise ValueError(
                f"prefixes must be ascending lengths in 1..max_levels={self.max_levels}, "
                f"at least one, got {list(self.prefixes)}"
            )
        return self


class PointwisePrefixAlignmentConfig(PrefixAlignmentConfig):
    """Settings of `apao-pointwise`."""

    name: Literal["apao-pointwise"] = "apao-pointwise"


class PairwisePrefixAlignmentConfig(PrefixAlignmentConfig):
    """Settings of `apao-pairwise`."""

    name: Literal["apao-pairwise"] = "apao-pairwise"
    divide_by_length: bool = False
    """Divide the loss of a prefix by its length, as the paper's Algorithm 1 does."""
    margin_temperature: PositiveFloat = 1.0
    """Divides the score differences between negatives and target."""


class PrefixAlignment(Objective):
    """Cross-entropy and a weighted loss of every prefix, APAO Eq. (11).

        L = ce_weight * CE + beta * sum_m w_m L(m)

    per target, with one w for the batch, adapted to the batch's own losses and then constant
    (`PrefixWeights`). Where targets differ in length, L(m) is 0 for one without that many tokens.
    """

    def __init__(self, config: PrefixAlignmentConfig) -> None:
        super().__init__()
        self.beta = config.beta
        self.ce_weight = config.ce_weight
        adaptive = config.prefix_weights != "uniform"
        self.needs = Needs(
            temperature=config.temperature,
            micro_batches=adaptive,
            whole_micro_batches=adaptive and config.prefix_weights not in STATEFUL_FORMS,
        )
        self.prefix_weights = PrefixWeights(
            config.prefix_weights,
            eta=config.eta,
            update_every=config.update_every,
            prefixes=config.prefixes,
            max_levels=config.max_levels,
        )

    @abstractmethod
    def prefix_losses(self, scores: CandidateScores) -> Float[Tensor, "batch levels"]:
        """L(m) of every target; 0 where it has no such prefix."""

    def check(self, num_levels: int) -> None:
        """Refuse a catalog with more levels than `max_levels`, or fewer than a chosen prefix."""
        self.prefix_weights.chosen(num_levels)

    def begin_update(self, micro_batch: bool, step: bool) -> None:
        """Tell the weights whether the next batch opens a micro-batch, and an optimiser step."""
        self.prefix_weights.begin_update(micro_batch=micro_batch, step=step)

    def forward(
        self, scores: CandidateScores
    ) -> tuple[Float[Tensor, " batch"], dict[str, Float[Tensor, ""]]]:
        """The loss of every target, and the loss and weight of every prefix length to log."""
        exists = scores.counts[:, 0]
        token_loss = cross_entropy(scores.log_probs[:, 0], exists)
        level_losses = self.prefix_losses(scores)
        weights = self.prefix_weights(level_losses, exists)
        prefix_loss = level_losses @ weights
        means = level_losses.detach().sum(0) / exists.sum(0).clamp(min=1)
        metrics = {
            "cross_entropy": token_loss.detach().mean(),
            "prefix_loss": prefix_loss.detach().mean(),
        }
        for length, (mean, weight) in enumerate(zip(means, weights, strict=True), start=1):
            metrics[f"prefix_loss_{length}"] = mean
            metrics[f"prefix_weight_{length}"] = weight
        return self.ce_weight * token_loss + self.beta * prefix_loss, metrics


class PointwisePrefixAlignment(PrefixAlignment):
    """Prefix alignment with the cross-entropy of every prefix, APAO Eq. (18)."""

    Config = PointwisePrefixAlignmentConfig

    def prefix_losses(self, scores: CandidateScores) -> Float[Tensor, "batch levels"]:
        """`pointwise_prefix_losses` of the target."""
        return pointwise_prefix_losses(scores.log_probs[:, 0], scores.counts[:, 0])


class PairwisePrefixAlignment(PrefixAlignment):
    """Prefix alignment against sampled negatives at every prefix length, APAO Eq. (19)."""

    Config = PairwisePrefixAlignmentConfig

    def __init__(self, config: PairwisePrefixAlignmentConfig) -> None:
        super().__init__(config)
        self.needs = replace(self.needs, negatives=True)
        self.divide_by_length = config.divide_by_length
        self.margin_temperature = config.margin_temperature

    def prefix_losses(self, scores: CandidateScores) -> Float[Tensor, "batch levels"]:
        """`pairwise_prefix_losses` of the target against the candidates that count."""
        log_odds = competition_log_odds(
            scores.log_probs,
            scores.counts,
            scores.log_weights,
            temperature=self.margin_temperature,
        )
        return pairwise_prefix_losses(log_odds, divide_by_length=self.divide_by_length)
