"""Beam-aware token losses (BEAR): each token of the target should be among the beam's best."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, distributed
from torch.nn.functional import logsigmoid, softplus

from beamwise._segments import segment_kth_largest
from beamwise.objectives.base import (
    CandidateScores,
    LegalLogits,
    Metrics,
    Needs,
    Objective,
    ObjectiveConfig,
)
from beamwise.objectives.beam_widths import BeamWidth, beam_widths, check_beam_width
from beamwise.objectives.level_metrics import level_means
from beamwise.objectives.masked_softmax import (
    Average,
    counted_tokens,
    legal_log_probs,
    legal_logits_of,
    mean_of_counted,
    target_logits,
)

Form = Literal["hinge", "log-sigmoid", "reweight"]


def kth_largest(legal: LegalLogits, k: Int64[Tensor, "#levels"]) -> Float[Tensor, "batch levels"]:
    """The k-th largest legal logit of each step, without gradient.

    Args:
        legal: The legal logits.
        k: One for all levels or one a level, >= 1; the smallest logit where fewer are legal.

    Returns:
        In the logits' unit; 0 past a target's end.
    """
    capped = legal.counts.clamp(max=k) if isinstance(k, int) else legal.counts.minimum(k)
    found = segment_kth_largest(legal.logits, legal.counts.flatten(), legal.step, capped.flatten())
    return found.view(legal.counts.shape)


def threshold_gaps(
    legal: LegalLogits, beam_width: Int64[Tensor, "#levels"]
) -> Float[Tensor, "batch levels"]:
    """How far the beam's last place lies above the target's token: the value of BEAR's Delta.

        Delta_t = log beta_t - log P(y_t),  beta_t the B-th largest probability of a legal token

    A difference of logits, the same under any softmax. Above 0 the token is pruned at this step; at
    0 it holds the last place itself, or ties with it, and counts as kept. Never above 0 where at
    most B tokens are legal.

    Returns:
        In nats, without gradient; 0 past a target's end.
    """
    gaps = kth_largest(legal, beam_width) - target_logits(legal).detach()
    return gaps.masked_fill(legal.counts == 0, 0.0)


def pruning_margins(
    log_probs: Float[Tensor, "batch levels"], gaps: Float[Tensor, "batch levels"]
) -> Float[Tensor, "batch levels"]:
    """Delta with its gradient: beta is a constant, so dDelta = -dlog P, normaliser and all.

    The value is exactly `gaps`: what is added is 0 and carries the gradient.
    """
    return gaps + (log_probs.detach() - log_probs)


def hinge_penalties(
    margins: Float[Tensor, "batch levels"], *, xi: float
) -> Float[Tensor, "batch levels"]:
    """softplus(Delta / xi): grows with the margin by which a token is pruned.

    BEAR's regulariser with the sign that penalises being pruned; times xi it tends to max(Delta, 0)
    as xi -> 0.
    """
    return softplus(margins / xi)


def log_sigmoid_penalties(
    margins: Float[Tensor, "batch levels"], *, xi: float
) -> Float[Tensor, "batch levels"]:
    """The other sign, which accounts of the paper print: log sigmoid(Delta / xi), at most 0.

    Added to cross-entropy with weight lambda, it multiplies that token's gradient by
    1 + (lambda / xi) sigmoid(-Delta / xi): tokens already inside the beam weigh more.
    """
    return logsigmoid(margins / xi)


def survival_weights(
    gaps: Float[Tensor, "batch levels"], *, weight: float, xi: float
) -> Float[Tensor, "batch levels"]:
    """Weights of tokens in BEAR's released code, constants: v = 1 + lambda sigmoid(-Delta / xi).

    Up to the normalisation, the gradient of log-sigmoid with lambda * xi in the place of lambda.
    """
    return 1 + weight * torch.sigmoid(-gaps / xi)


def reweighted_losses(
    log_probs: Float[Tensor, "batch levels"],
    weights: Float[Tensor, "batch levels"],
    counted: Bool[Tensor, "batch levels"],
) -> Float[Tensor, " batch"]:
    """Weighted mean over all counted tokens of the batch, as losses of its targets.

        mean over targets of the result = sum v l / sum v,  l = -log P,  sums over counted tokens

    The batch is that of all processes together, if there are several. A batch without any counted
    token has loss 0.
    """
    weights = torch.where(counted, weights, 0.0)
    totals = torch.stack([weights.sum(), weights.new_tensor(float(len(weights)))])
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(totals)
    weight_sum, num_targets = totals.unbind()
    scale = num_targets / torch.where(weight_sum > 0, weight_sum, 1.0)
    return -(weights * log_probs).sum(1) * scale


def pruning_metrics(
    legal: LegalLogits,
    gaps: Float[Tensor, "batch levels"],
    beam_width: Int64[Tensor, "#levels"],
) -> Metrics:
    """Per level: share of steps that can prune, share that prune the target, and by how much.

    Returns:
        `can_prune_t`, `pruned_t` (shares of the targets with a t-th token) and `pruned_by_t` (mean
        Delta of those pruned, in nats; 0 where none is).
    """
    exists, pruned = legal.counts > 0, gaps > 0
    return {
        **level_means("can_prune", legal.counts > beam_width, exists),
        **level_means("pruned", pruned, exists),
        **level_means("pruned_by", gaps, pruned),
    }


class BeamAwareConfig(ObjectiveConfig):
    """Settings of `bear`."""

    name: Literal["bear"] = "bear"
    form: Form = "hinge"
    """Penalise being pruned (hinge), the form printed with the other sign (log-sigmoid), or the
    released code's weights of tokens, normalised over a micro-batch (reweight)."""
    beam_width: BeamWidth = 20
    """B, the beam's width in decoding: one for all levels or one a level. The paper has 10."""
    weight: NonNegativeFloat = 0.25
    """lambda, of the penalty; the paper's for Toy."""
    xi: PositiveFloat = 2.75
    """Smoothness of the penalty, in nats; the paper's for Toy."""
    softmax: Literal["legal", "vocabulary"] = "legal"
    """Whether cross-entropy normalises over the legal tokens or the vocabulary; competitors for the
    beam are the legal tokens either way."""
    average: Average | None = None
    """Mean over all tokens of a target, or over those with more than one legal choice (branching).
    Where not set: branching for `reweight`, as the released code has it, tokens otherwise."""


class BeamAware(Objective):
    """Cross-entropy that knows the beam (BEAR), in the form that `config.form` names.

        hinge, log-sigmoid:  L = mean_t [ -log P(y_t) + lambda * penalty(Delta_t / xi) ]
        reweight:            L = sum v_t (-log P(y_t)) / sum v_t  over a micro-batch's tokens

    No penalty where at most B tokens are legal: nothing can be pruned there.
    """

    Config = BeamAwareConfig
    widths: Int64[Tensor, " levels_or_one"]

    def __init__(self, config: BeamAwareConfig) -> None:
        super().__init__()
        self.config = config
        reweights = config.form == "reweight"
        self.average: Average = config.average or ("branching" if reweights else "tokens")
        self.needs = Needs(
            legal_logits=True,
            vocabulary=config.softmax == "vocabulary",
            temperature=config.temperature,
            micro_batches=reweights,
            whole_micro_batches=reweights,
        )
        self.register_buffer("widths", beam_widths(config.beam_width), persistent=False)

    def check(self, num_levels: int) -> None:
        """Refuse a catalog whose levels `beam_width` does not fit."""
        check_beam_width(self.config.beam_width, num_levels)

    def forward(self, scores: CandidateScores) -> tuple[Float[Tensor, " batch"], Metrics]:
        """The loss of every target; what else is logged is `pruning_metrics` and the mean tokens.

        `own_loss`, and `cross_entropy`, which is `cross_entropy_legal` where it runs over the legal
        tokens.
        """
        config, legal = self.config, legal_logits_of(scores)
        gaps = threshold_gaps(legal, self.widths)
        in_legal = config.softmax == "legal"
        log_probs = legal_log_probs(legal) if in_legal else scores.vocabulary_log_probs[:, 0]
        counted = counted_tokens(legal, self.average)
        if config.form == "reweight":
            weights = survival_weights(gaps, weight=config.weight, xi=config.xi)
            loss = reweighted_losses(log_probs, weights, counted)
        else:
            penalties = hinge_penalties if config.form == "hinge" else log_sigmoid_penalties
            penalty = penalties(pruning_margins(log_probs, gaps), xi=config.xi)
            added = torch.where(legal.counts > self.widths, config.weight * penalty, 0.0)
            loss = mean_of_counted(added - log_probs, counted)
        token_loss = mean_of_counted(-log_probs.detach(), counted)
        name = "cross_entropy_legal" if in_legal else "cross_entropy"
        metrics: Metrics = {name: token_loss.mean(), "own_loss": loss.detach().mean()}
        return loss, metrics | pruning_metrics(legal, gaps, self.widths)
