"""One pass of the backbone over a batch, and the scores that an objective asks for."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from beamwise.backbones.base import Backbone
from beamwise.objectives.base import CandidateScores, LegalLogits, Needs
from beamwise.scoring.log_probs import token_log_probs, token_logits
from beamwise.scoring.training_batch import LegalTokens, TrainingBatch


class Scorer(nn.Module):
    """The backbone as training sees it: everything goes through this `forward`.

    That is what `accelerate` wraps and `torch.compile` compiles, so hooks of data-parallel
    training fire.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, batch: TrainingBatch, needs: Needs) -> CandidateScores:
        """Log-probabilities of every candidate's tokens, in nats, and what else `needs` asks.

        A reference is another model: its log-probabilities come from `reference_log_probs`.
        """
        logits = self._logits(batch, needs.temperature)
        legal = None
        if needs.legal_logits:
            legal = _legal_logits(logits, cast(LegalTokens, batch.legal))
        return CandidateScores(
            _log_probs(logits, batch), batch.counts, batch.log_weights, batch.is_item, legal
        )

    @torch.no_grad()
    def reference_log_probs(
        self, batch: TrainingBatch, temperature: float
    ) -> Float[Tensor, "targets candidates levels"]:
        """The log-probabilities alone, without gradient."""
        return _log_probs(self._logits(batch, temperature), batch)

    def _logits(self, batch: TrainingBatch, temperature: float) -> Float[Tensor, "used vocab"]:
        """Of the nodes that are no padding, end to end."""
        backbone = cast(Backbone, self.backbone)
        hidden = backbone(batch.history, batch.tree.nodes)
        logits = backbone.logits(hidden.flatten(0, 1).index_select(0, batch.tree.used)).float()
        return logits if temperature == 1.0 else logits / temperature


def _log_probs(
    logits: Float[Tensor, "used vocab"], batch: TrainingBatch
) -> Float[Tensor, "targets candidates levels"]:
    tokens = batch.tree.tokens
    log_probs = token_log_probs(logits, batch.tree.places, tokens.clamp(min=0))
    return log_probs.masked_fill(tokens < 0, 0.0)


def _legal_logits(logits: Float[Tensor, "used vocab"], legal: LegalTokens) -> LegalLogits:
    values = token_logits(logits, legal.places, legal.tokens)
    return LegalLogits(values, legal.step, legal.counts, legal.target_place)
