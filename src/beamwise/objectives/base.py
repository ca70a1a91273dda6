"""What an objective is given and what it gives back; it never sees a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from jaxtyping import Bool, Float, Int64
from pydantic import PositiveFloat
from torch import Tensor, nn

from beamwise.config import Config

INITIAL_WEIGHTS = "initial-weights"
Reference = Literal["initial-weights"] | Path
"""A frozen model to compare with: the weights that training (or its stage) began with, or those of
another run's folder."""


@dataclass(frozen=True)
class Needs:
    """What an objective asks the scorer for, beyond the target's log-probabilities."""

    negatives: bool = False
    """Score sampled non-targets as candidates 1, 2, ..."""
    legal_logits: bool = False
    """Give the logits of the tokens that may legally stand where the target's stand."""
    reference: Reference | None = None
    """Score the candidates with this model as well."""
    dropout: bool = True
    """Train with the backbone's dropout; False where noise would be taken for a difference."""
    moving_loss: bool = False
    """The loss of the same weights changes as training goes on, so it cannot say which are best."""
    temperature: float = 1.0
    """Logits are divided by it before the softmax."""
    micro_batches: bool = False
    """The loss of a target depends on the others of its micro-batch."""
    whole_micro_batches: bool = False
    """It depends on all of them at once, so a micro-batch must not be cut into chunks."""
    vocabulary: bool = True
    """Give log-probabilities over the vocabulary. An objective that reads none says False: then no
    logit is formed but those of the legal tokens where there are several, and nothing is computed
    past the last such step of a target."""
    branching_levels: bool = False
    """Give the targets' prefixes that end where paths part, as `PrefixLevels`."""
    max_prefixes: int | None = None
    """Most of them, from the first; as many as any path of the catalog has where None."""

    def __post_init__(self) -> None:
        """Refuse what cannot be given together.

        Raises:
            ValueError: If no log-probabilities are wanted, and something that consists of them is.
        """
        reads_them = self.negatives or self.reference is not None or self.branching_levels
        if not self.vocabulary and (reads_them or not self.legal_logits):
            raise ValueError(
                "vocabulary=False leaves the legal logits alone, without negatives, reference or "
                "prefix levels: set legal_logits=True and none of these, or vocabulary=True"
            )


@dataclass(frozen=True)
class LegalLogits:
    """Logits at every step of the targets' paths: of the tokens that lead on to catalog items.

    Steps are numbered `target * levels + level`; those past a target's end have no tokens. The
    logits of all steps stand end to end, never padded to the widest.
    """

    logits: Float[Tensor, " total"]
    """Divided by `Needs.temperature`. Where one token is legal and `Needs.vocabulary` is False its
    logit is 0, without gradient: it is the only one of its softmax, whatever it is."""
    step: Int64[Tensor, " total"]
    """The step of each logit, ascending."""
    counts: Int64[Tensor, "batch levels"]
    """Legal tokens of each step, >= 1 where the target has a token."""
    target_place: Int64[Tensor, "batch levels"]
    """Place of the target's own token in `logits`; 0 past its end."""


@dataclass(frozen=True)
class PrefixLevels:
    """The targets' prefixes that end where paths part, as levels.

    A prefix holds one token more that had an alternative than the prefix before it, and the forced
    tokens that follow; what is forced at the beginning belongs to the first. The last is the whole
    target.
    """

    lengths: Int64[Tensor, "batch prefixes"]
    """Tokens of each prefix, ascending; 0 where the target has no such prefix."""
    counts: Bool[Tensor, "batch candidates prefixes"]
    """Whether a candidate competes at this level with as many of its tokens as the target's prefix
    has, or with all that it has where it ends before: a finished item keeps its score. As in
    `CandidateScores`, no prefix counts twice."""
    log_weights: Float[Tensor, "batch candidates prefixes"] | None = None
    """As `CandidateScores.log_weights`, of these prefixes."""


@dataclass(frozen=True)
class CandidateScores:
    """Scores of one batch of targets and their candidates; candidate 0 is the target."""

    log_probs: Float[Tensor, "batch candidates levels"] | None
    """Log-probability of each token given the history and the tokens before it, in nats; 0 past a
    candidate's end. None where `Needs.vocabulary` is False."""
    counts: Bool[Tensor, "batch candidates levels"]
    """Whether this prefix competes at this level. The target's own prefixes count wherever they
    exist; a negative's do where it has that many tokens and neither the target nor an earlier
    candidate has the same prefix."""
    log_weights: Float[Tensor, "batch candidates levels"] | None = None
    """Log of a factor on each competing prefix's probability, where sampling asks for one."""
    is_item: Bool[Tensor, "batch candidates"] | None = None
    """Whether a candidate is a whole item that differs from the target and from all before it; True
    for the target. None where all are. False for what is missing and for mined prefixes."""
    legal: LegalLogits | None = None
    """Where `Needs.legal_logits` asks for them."""
    reference_log_probs: Float[Tensor, "batch candidates levels"] | None = None
    """As `log_probs`, of the reference and without gradient, where `Needs.reference` names one."""
    prefixes: PrefixLevels | None = None
    """Where `Needs.branching_levels` asks for them."""

    @property
    def vocabulary_log_probs(self) -> Float[Tensor, "batch candidates levels"]:
        """`log_probs`, for who needs them.

        Raises:
            ValueError: If there are none.
        """
        if self.log_probs is None:
            raise ValueError(
                "need the candidates' log-probabilities, got none: score with vocabulary=True"
            )
        return self.log_probs


@dataclass(frozen=True)
class Mean:
    """A mean to log that is not over all targets of a batch, so that batches add up rightly."""

    total: Float[Tensor, ""]
    count: Int64[Tensor, ""]
    """What the mean is of; may be 0, and the mean then is 0."""

    @property
    def value(self) -> Float[Tensor, ""]:
        """The mean, on the device."""
        return self.total / self.count.clamp(min=1)

    def __float__(self) -> float:
        """The mean; waits for the device."""
        return float(self.value)


Metrics = dict[str, Float[Tensor, ""] | Mean]
"""What an objective logs of a batch, detached; a plain number is a mean over all its targets."""


class ObjectiveConfig(Config):
    """Settings that every objective has, beside its own `name: Literal[...]`."""

    temperature: PositiveFloat = 1.0
    """Logits are divided by it before the softmax, in training only."""


class Objective(nn.Module, ABC):
    """A loss over candidate scores. What it carries from batch to batch is a buffer."""

    Config: ClassVar[type[ObjectiveConfig]]
    needs: Needs

    @abstractmethod
    def forward(self, scores: CandidateScores) -> tuple[Float[Tensor, " batch"], Metrics]:
        """The loss of every target, in nats, and what to log; the caller averages."""

    def check(self, num_levels: int) -> None:
        """Refuse a catalog of so many levels that the settings do not fit, by ValueError.

        Levels are tokens of its longest path, or where `needs` ask for `branching_levels` the
        prefixes that `num_prefixes` of `beamwise.sequences.prefix_levels` counts.
        """

    def begin_update(self, micro_batch: bool, step: bool) -> None:
        """Told by the loop before a batch: whether it opens a micro-batch and an optimiser step."""
