"""Prefix alignment (APAO): every prefix of the target, not only the whole, must score well."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor
from torch.nn.functional import softplus

from beamwise.objectives.base import CandidateScores, Metrics, Needs, Objective, ObjectiveConfig
from beamwise.objectives.beam_widths import BeamWidth, beam_widths, check_beam_width
from beamwise.objectives.competition import competition_log_odds
from beamwise.objectives.cross_entropy import cross_entropy, mean_one
from beamwise.objectives.level_metrics import by_level, level_means
from beamwise.objectives.level_scores import Levels, LevelScores, level_scores
from beamwise.objectives.prefix_weights import (
    STATEFUL_FORMS,
    PrefixWeights,
    UpdateEvery,
    WeightForm,
)


def pointwise_prefix_losses(
    log_probs: Float[Tensor, "batch levels"],
    exists: Bool[Tensor, "batch levels"],
    lengths: Int64[Tensor, "#batch levels"] | None = None,
) -> Float[Tensor, "batch levels"]:
    """Cross-entropy of every prefix, APAO Eq. (12): L(m) = -1/m sum_{t <= m} log p_t.

    Where a level is more than one token m is the tokens of the prefix, not the level: the sum runs
    over them, so L stays a mean over tokens, and that of a whole item is its cross-entropy, Eq.
    (4), as in the paper.

    Args:
        log_probs: Of what each level adds to the target, given what is before it, in nats.
        exists: False past a target's end.
        lengths: m; 1, 2, 3, ... where not given, a token a level.

    Returns:
        Loss per target and prefix length, in nats a token; 0 where there is no such prefix.
    """
    prefix_scores = torch.where(exists, log_probs, 0.0).cumsum(1)
    if lengths is None:
        lengths = torch.arange(1, log_probs.shape[1] + 1, device=log_probs.device)
    return torch.where(exists, -prefix_scores / lengths.clamp(min=1), 0.0)


def equivalent_level_weights(
    prefix_weights: Sequence[float], *, beta: float, ce_weight: float = 1.0
) -> tuple[float, ...]:
    """The token weights under which cross-entropy is pointwise prefix alignment with fixed weights.

    Exchanging the sums of Eq. (12) and (18), for targets of T tokens,

        ce_weight * CE + beta * sum_m w_m L(m)
            = sum_t c_t (-log p_t)   with   c_t = ce_weight / T + beta * sum_{m >= t} w_m / m

    which is `cross_entropy` with weights c_t / mean(c), times sum_t c_t = ce_weight + beta sum w.

    Args:
        prefix_weights: w_1, ..., w_T, >= 0; the alignment's `prefix_weight_1`, ... in a log.
        beta: Weight of the prefix-aware term.
        ce_weight: Weight of cross-entropy.

    Returns:
        T weights of mean 1, never increasing, that `ce` takes as `level_weights`.

    Raises:
        ValueError: If all of them would be 0.
    """
    num_levels = len(prefix_weights)
    shares = [weight / length for length, weight in enumerate(prefix_weights, start=1)]
    tokens = [ce_weight / num_levels + beta * sum(shares[t:]) for t in range(num_levels)]
    return mean_one(tokens)


def pairwise_prefix_losses(
    log_odds: Float[Tensor, "batch levels"],
    *,
    beam_width: Int64[Tensor, "#levels"] | None = None,
    divide_by_length: bool = False,
    lengths: Int64[Tensor, "#batch levels"] | None = None,
) -> Float[Tensor, "batch levels"]:
    """Target prefix against its competitors, APAO Eq. (14) for K = 1: L(m) = log(1 + e^phi / K_m).

    K = 1, -log sigmoid(-phi), asks of a prefix to outweigh all others together; but a beam of width
    K keeps it as long as these are worth less than K of it. Computed as softplus(phi - log K), the
    same value, which cannot overflow.

    Args:
        log_odds: phi, as `competition_log_odds` gives it.
        beam_width: K, one for all levels or one a level, >= 1; 1 where not given.
        divide_by_length: L(m) / m, as APAO's Algorithm 1 and its released code have it. This
            form certifies nothing about the beam (see `survival_bound`).
        lengths: m, as in `pointwise_prefix_losses`.

    Returns:
        Loss per target and prefix length, in nats; 0 where nothing competes.
    """
    if beam_width is not None:
        log_odds = log_odds - beam_width.to(log_odds.dtype).log()
    losses = softplus(log_odds)
    if not divide_by_length:
        return losses
    if lengths is None:
        lengths = torch.arange(1, losses.shape[1] + 1, device=losses.device)
    return losses / lengths.clamp(min=1)


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
    levels: Levels = "tokens"
    """What a prefix grows by: a token, as for semantic IDs; or, for titles, a token that had an
    alternative, with the forced ones that follow it (branching)."""
    max_prefixes: PositiveInt | None = None
    """Levels that there is a loss for, from the first; all that the catalog has where not set."""
    prefixes: tuple[PositiveInt, ...] | None = None
    """Levels that carry weight, ascending from 1; all of them where not set."""
    max_levels: PositiveInt = 16
    """Levels that the state of the weights has room for; at least `max_prefixes`, or where that is
    not set the catalog's."""

    @model_validator(mode="after")
    def _consistent(self) -> PrefixAlignmentConfig:
        if self.beta == 0 and self.ce_weight == 0:
            raise ValueError("beta and ce_weight are both 0, so there is no loss: raise one")
        name, most = "max_levels", self.max_levels
        if self.max_prefixes is not None:
            if self.max_prefixes > most:
                raise ValueError(
                    f"max_prefixes={self.max_prefixes} must be at most max_levels={most}: raise "
                    "max_levels"
                )
            name, most = "max_prefixes", self.max_prefixes
        if self.prefixes is None:
            return self
        ascending = list(self.prefixes) == sorted(set(self.prefixes))
        if not self.prefixes or not ascending or self.prefixes[-1] > most:
            raise ValueError(
                f"prefixes must be ascending lengths in 1..{name}={most}, "
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
    beam_width: BeamWidth | None = None
    """Beam, one width or one a level, that a target's prefixes should survive: it need not outweigh
    all others, only this many; 1, the paper's form, where not set."""


class PrefixAlignment(Objective):
    """Cross-entropy and a weighted loss of every prefix, APAO Eq. (11).

        L = ce_weight * CE + beta * sum_m w_m L(m)

    per target, with one w for the batch, adapted to the batch's own losses and then constant
    (`PrefixWeights`). Where targets differ in length, L(m) is 0 for one without that many levels.
    A level is a token, or one that had an alternative and the forced ones behind it: forced tokens
    have no prefix of their own, which would repeat the one before, competitors and all.
    """

    def __init__(self, config: PrefixAlignmentConfig) -> None:
        super().__init__()
        self.beta = config.beta
        self.ce_weight = config.ce_weight
        self.levels: Levels = config.levels
        self.max_prefixes = config.max_prefixes
        adaptive = config.prefix_weights != "uniform"
        self.needs = Needs(
            temperature=config.temperature,
            micro_batches=adaptive,
            whole_micro_batches=adaptive and config.prefix_weights not in STATEFUL_FORMS,
            branching_levels=config.levels == "branching",
            max_prefixes=config.max_prefixes if config.levels == "branching" else None,
        )
        self.prefix_weights = PrefixWeights(
            config.prefix_weights,
            eta=config.eta,
            update_every=config.update_every,
            prefixes=config.prefixes,
            max_levels=config.max_levels,
        )

    @abstractmethod
    def prefix_losses(self, levels: LevelScores) -> tuple[Float[Tensor, "batch levels"], Metrics]:
        """L(m) of every target, 0 where it has no such prefix; and detached scalars to log."""

    def check(self, num_levels: int) -> None:
        """Refuse a catalog with more levels than `max_levels`, or fewer than a chosen prefix."""
        self.prefix_weights.chosen(self._kept(num_levels))

    def begin_update(self, micro_batch: bool, step: bool) -> None:
        """Tell the weights whether the next batch opens a micro-batch, and an optimiser step."""
        self.prefix_weights.begin_update(micro_batch=micro_batch, step=step)

    def forward(self, scores: CandidateScores) -> tuple[Float[Tensor, " batch"], Metrics]:
        """The loss of every target, and the loss and weight of every prefix length to log."""
        token_loss = cross_entropy(scores.vocabulary_log_probs[:, 0], scores.counts[:, 0])
        levels = level_scores(scores, self.levels, self.max_prefixes)
        exists = levels.counts[:, 0]
        level_losses, level_metrics = self.prefix_losses(levels)
        weights = self.prefix_weights(level_losses, exists)
        prefix_loss = level_losses @ weights
        metrics = {
            "cross_entropy": token_loss.detach().mean(),
            "prefix_loss": prefix_loss.detach().mean(),
        }
        metrics |= level_means("prefix_loss", level_losses, exists)
        metrics |= by_level("prefix_weight", weights)
        return self.ce_weight * token_loss + self.beta * prefix_loss, metrics | level_metrics

    def _kept(self, num_levels: int) -> int:
        return num_levels if self.max_prefixes is None else min(num_levels, self.max_prefixes)


class PointwisePrefixAlignment(PrefixAlignment):
    """Prefix alignment with the cross-entropy of every prefix, APAO Eq. (18)."""

    Config = PointwisePrefixAlignmentConfig

    def prefix_losses(self, levels: LevelScores) -> tuple[Float[Tensor, "batch levels"], Metrics]:
        """`pointwise_prefix_losses` of the target, which can act on every prefix."""
        target, exists = levels.log_probs[:, 0], levels.counts[:, 0]
        return pointwise_prefix_losses(target, exists, levels.lengths), {}


class PairwisePrefixAlignment(PrefixAlignment):
    """Prefix alignment against sampled negatives at every prefix length, APAO Eq. (19)."""

    Config = PairwisePrefixAlignmentConfig
    widths: Int64[Tensor, " levels_or_one"]

    def __init__(self, config: PairwisePrefixAlignmentConfig) -> None:
        super().__init__(config)
        self.needs = replace(self.needs, negatives=True)
        self.divide_by_length = config.divide_by_length
        self.margin_temperature = config.margin_temperature
        self.beam_width: BeamWidth = 1 if config.beam_width is None else config.beam_width
        self.register_buffer("widths", beam_widths(self.beam_width), persistent=False)

    def check(self, num_levels: int) -> None:
        """As the base class, and refuse a catalog whose levels `beam_width` does not fit."""
        super().check(num_levels)
        check_beam_width(self.beam_width, self._kept(num_levels))

    def prefix_losses(self, levels: LevelScores) -> tuple[Float[Tensor, "batch levels"], Metrics]:
        """`pairwise_prefix_losses` of the target against the candidates that count.

        The loss acts only on the share `prefix_contested_m` of target prefixes, those that
        something competes with. Of these, `prefix_margin_m` is the mean of -phi, in nats, and
        `prefix_outweighed_m` the share with e^phi > K, where competitors could fill the beam.
        """
        log_odds = competition_log_odds(
            levels.log_probs,
            levels.counts,
            levels.log_weights,
            temperature=self.margin_temperature,
        )
        losses = pairwise_prefix_losses(
            log_odds,
            beam_width=self.widths,
            divide_by_length=self.divide_by_length,
            lengths=levels.lengths,
        )
        exists, contested = levels.counts[:, 0], log_odds > -torch.inf
        outweighed = log_odds > self.widths.to(log_odds.dtype).log()
        return losses, (
            level_means("prefix_contested", contested, exists)
            | level_means("prefix_margin", -log_odds, contested)
            | level_means("prefix_outweighed", outweighed, contested)
        )
