"""One pass of the backbone over a batch, and the scores that an objective asks for."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from beamwise.backbones.base import Backbone
from beamwise.objectives.base import CandidateScores, LegalLogits, Needs
from beamwise.scoring.legal_tokens import LegalProducts, LegalTokens
from beamwise.scoring.log_probs import taken_once, token_log_probs, token_logits
from beamwise.scoring.training_batch import TrainingBatch


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

        The batch must have been made for these needs. A reference is another model: its
        log-probabilities come from `reference_log_probs`.
        """
        assert needs.vocabulary != isinstance(batch.legal, LegalProducts), "made for other needs"
        log_probs = legal = None
        if isinstance(batch.legal, LegalProducts):
            legal = self._legal_alone(batch, batch.legal, needs.temperature)
        else:
            logits = self._logits(batch, needs.temperature)
            log_probs = _log_probs(logits, batch)
            if needs.legal_logits:
                legal = _legal_logits(logits, cast(LegalTokens, batch.legal))
        return CandidateScores(
            log_probs,
            batch.counts,
            batch.log_weights,
            batch.is_item,
            legal,
            prefixes=batch.prefixes,
        )

    @torch.no_grad()
    def reference_log_probs(
        self, batch: TrainingBatch, temperature: float
    ) -> Float[Tensor, "targets candidates levels"]:
        """The log-probabilities alone, without gradient."""
        return _log_probs(self._logits(batch, temperature), batch)

    def _logits(self, batch: TrainingBatch, temperature: float) -> Float[Tensor, "used vocab"]:
        """Of the nodes that are no padding, end to end."""
        hidden = self._hidden(batch, batch.tree.used)
        return _divided(cast(Backbone, self.backbone).logits(hidden), temperature)

    def _hidden(
        self, batch: TrainingBatch, nodes: Int64[Tensor, " nodes"]
    ) -> Float[Tensor, "nodes dim"]:
        """Of these nodes, each given as row * columns + column."""
        hidden = cast(Backbone, self.backbone)(batch.history, batch.tree.nodes)
        return hidden.flatten(0, 1).index_select(0, nodes)

    def _legal_alone(
        self, batch: TrainingBatch, legal: LegalProducts, temperature: float
    ) -> LegalLogits:
        """The legal logits, block by block of the hidden states that have several of them."""
        backbone = cast(Backbone, self.backbone)
        hidden = self._hidden(batch, legal.nodes)
        num_steps, num_tokens = ([block[i] for block in legal.blocks] for i in (0, 1))
        if legal.tokens is None:  # a model may have more tokens than the catalog
            products = [backbone.logits(hidden)[:, :width].flatten() for width in num_tokens]
        else:
            pieces = zip(hidden.split(num_steps), legal.tokens.split(num_tokens), strict=True)
            products = [backbone.logits(*piece).flatten() for piece in pieces]
        # Of a catalog without any choice the graph is still that of the model, with gradient 0.
        forced = hidden.new_zeros(1) if products else hidden.sum()[None]
        scored = _divided(torch.cat([*products, forced]), temperature)
        logits = taken_once(scored, legal.source)
        return LegalLogits(logits, legal.step, legal.counts, legal.target_place)


def _divided(logits: Float[Tensor, "*shape"], temperature: float) -> Float[Tensor, "*shape"]:
    """In float32 at least, whatever the precision of the hidden states."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
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
