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


@dataclass(frozen=True)
class LegalLogits:
    """Logits at every step of the targets' paths: of the tokens that lead on to catalog items.

    Steps are numbered `target * levels + level`; those past a target's end have no tokens. The
    logits of all steps stand end to end, never padded to the widest.
    """

    logits: Float[Tensor, " total"]
    """Divided by `Needs.temperature`."""
    step: Int64[Tensor, " total"]
    """The step of each logit, ascending."""
    counts: Int64[Tensor, "batch levels"]
    """Legal tokens of each step, >= 1 where the target has a token."""
    target_place: Int64[Tensor, "batch levels"]
    """Place of the target's own token in `logits`; 0 past its end."""


@dataclass(frozen=True)
class CandidateScores:
    """Scores of one batch of targets and their candidates; candidate 0 is the target."""

    log_probs: Float[Tensor, "batch candidates levels"]
    """Log-probability of each token given the history and the tokens before it, in nats; 0 past a
    candidate's end."""
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
        """Refuse a catalog of `num_levels` levels that the settings do not fit, by ValueError."""

    def begin_update(self, micro_batch: bool, step: bool) -> None:
        """Told by the loop before a batch: whether it opens a micro-batch and an optimiser step."""
