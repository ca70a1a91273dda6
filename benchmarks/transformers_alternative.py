"""What people run today: a `transformers` model trained in the usual way.

Histories are padded to the longest of the batch, a decoder-only model reads one example a target,
and candidates are scored by repeating what was read of the history for each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import softplus
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, LlamaForCausalLM, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from beamwise.catalog import END_TOKEN, Catalog

PADDING = 0
IGNORED = -100
"""Label of a position that has no loss."""
Inputs = dict[str, Tensor]


class Alternative(ABC):
    """A model, and the two losses that are compared."""

    def __init__(self, model: Any, catalog: Catalog) -> None:
        self.model = model
        paths = catalog.leaf_tokens[catalog.leaf_of_item.long()].long()
        self.item_tokens: Int64[Tensor, "items levels"] = paths
        self._tokens_of = paths.tolist()

    @abstractmethod
    def cross_entropy(
        self, histories: Int64[Tensor, "batch history"], targets: Int64[Tensor, "batch levels"]
    ) -> Float[Tensor, ""]:
        """The model's own loss: the mean over the targets' tokens."""

    @abstractmethod
    def candidate_log_probs(
        self,
        histories: Int64[Tensor, "batch history"],
        candidates: Int64[Tensor, "batch candidates levels"],
    ) -> Float[Tensor, "batch candidates levels"]:
        """Log-probability of every token of every candidate; each history is read once."""

    def pairwise(
        self,
        histories: Int64[Tensor, "batch history"],
        candidates: Int64[Tensor, "batch candidates levels"],
        *,
        beta: float,
    ) -> Float[Tensor, ""]:
        """Cross-entropy and the pairwise loss of every prefix (APAO) with equal weights, the mean.

        Args:
            histories: Item indices, right-padded with -1.
            candidates: Tokens; candidate 0 is the target, the others are negatives.
            beta: Weight of the prefix-aware term.
        """
        levels = candidates.shape[2]
        log_probs = self.candidate_log_probs(histories, candidates)
        prefix_loss = torch.zeros(len(candidates))
        for length in range(1, levels + 1):
            scores = log_probs[:, :, :length].sum(2)
            margins = scores[:, 1:] - scores[:, :1]
            margins = margins.masked_fill(_repeated(candidates[:, :, :length])[:, 1:], -torch.inf)
            prefix_loss = prefix_loss + softplus(margins.logsumexp(1)) / levels
        return (-log_probs[:, 0].mean(1) + beta * prefix_loss).mean()

    def tokens_of(self, histories: Int64[Tensor, "batch history"]) -> list[list[int]]:
        """The tokens of each history's items."""
        return [
            [token for item in history if item >= 0 for token in self._tokens_of[item]]
            for history in histories.tolist()
        ]


class T5Alternative(Alternative):
    """`T5ForConditionalGeneration`: the encoder reads the history, the decoder the target."""

    model: T5ForConditionalGeneration

    def cross_entropy(
        self, histories: Int64[Tensor, "batch history"], targets: Int64[Tensor, "batch levels"]
    ) -> Float[Tensor, ""]:
        """`model(input_ids, attention_mask, labels)`."""
        return self.model(**self.collate(histories), labels=targets).loss

    def candidate_log_probs(
        self,
        histories: Int64[Tensor, "batch history"],
        candidates: Int64[Tensor, "batch candidates levels"],
    ) -> Float[Tensor, "batch candidates levels"]:
        """The encoder runs once a history; its states are repeated for each candidate."""
        num_candidates = candidates.shape[1]
        inputs = self.collate(histories)
        encoded = self.model.encoder(**inputs).last_hidden_state
        tokens = candidates.flatten(0, 1)
        output = self.model(
            encoder_outputs=BaseModelOutput(encoded.repeat_interleave(num_candidates, dim=0)),
            attention_mask=inputs["attention_mask"].repeat_interleave(num_candidates, dim=0),
            decoder_input_ids=self.model.prepare_decoder_input_ids_from_labels(tokens),
        )
        return _log_probs(output.logits, tokens).view(candidates.shape)

    def collate(self, histories: Int64[Tensor, "batch history"]) -> Inputs:
        """Each history's tokens and an end token, padded on the right to the longest."""
        rows = [torch.tensor([*row, END_TOKEN]) for row in self.tokens_of(histories)]
        input_ids = pad_sequence(rows, batch_first=True, padding_value=PADDING)
        return {"input_ids": input_ids, "attention_mask": (input_ids != PADDING).long()}


class LlamaAlternative(Alternative):
    """`LlamaForCausalLM`: one left-padded example a target, the target's tokens at its end."""

    model: LlamaForCausalLM

    def cross_entropy(
        self, histories: Int64[Tensor, "batch history"], targets: Int64[Tensor, "batch levels"]
    ) -> Float[Tensor, ""]:
        """`model(input_ids, attention_mask, position_ids, labels)`, the history without labels."""
        inputs = self.collate(histories, targets)
        labels = torch.full_like(inputs["input_ids"], IGNORED)
        labels[:, -targets.shape[1] :] = targets
        return self.model(**inputs, labels=labels, use_cache=False).loss

    def candidate_log_probs(
        self,
        histories: Int64[Tensor, "batch history"],
        candidates: Int64[Tensor, "batch candidates levels"],
    ) -> Float[Tensor, "batch candidates levels"]:
        """The history is read once into a cache, which is repeated for each candidate.

        The first token of all candidates is predicted from the history's last one; the last token
        predicts nothing and is not read.
        """
        num_candidates, levels = candidates.shape[1:]
        inputs = self.collate(histories)
        cache = DynamicCache(config=self.model.config)
        read = self.model(**inputs, past_key_values=cache, logits_to_keep=1)
        first = read.logits.log_softmax(-1)[:, 0].gather(1, candidates[:, :, 0])
        if levels == 1:
            return first[..., None]
        cache.batch_repeat_interleave(num_candidates)
        tokens = candidates.flatten(0, 1)
        mask = inputs["attention_mask"]
        mask = torch.cat((mask, mask.new_ones(len(mask), levels - 1)), 1)
        positions = inputs["position_ids"][:, -1:] + torch.arange(1, levels)
        output = self.model(
            input_ids=tokens[:, :-1],
            attention_mask=mask.repeat_interleave(num_candidates, dim=0),
            position_ids=positions.repeat_interleave(num_candidates, dim=0),
            past_key_values=cache,
        )
        rest = _log_probs(output.logits, tokens[:, 1:]).view(*candidates.shape[:2], levels - 1)
        return torch.cat((first[..., None], rest), 2)

    def collate(
        self,
        histories: Int64[Tensor, "batch history"],
        targets: Int64[Tensor, "batch levels"] | None = None,
    ) -> Inputs:
        """Histories and, where given, targets end to end, padded on the left to the longest.

        An empty history is the single end token.
        """
        rows = [row or [END_TOKEN] for row in self.tokens_of(histories)]
        if targets is not None:
            rows = [row + target for row, target in zip(rows, targets.tolist(), strict=True)]
        input_ids = pad_sequence(
            [torch.tensor(row) for row in rows],
            batch_first=True,
            padding_value=PADDING,
            padding_side="left",
        )
        mask = (input_ids != PADDING).long()
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        return {"input_ids": input_ids, "attention_mask": mask, "position_ids": positions}


ALTERNATIVES: dict[str, type[Alternative]] = {"tiger": T5Alternative, "llama": LlamaAlternative}
"""By the name of the backbone whose `to_huggingface` gives the model."""


def _log_probs(
    logits: Float[Tensor, "rows length vocab"], tokens: Int64[Tensor, "rows length"]
) -> Float[Tensor, "rows length"]:
    return logits.log_softmax(-1).gather(2, tokens[..., None]).squeeze(2)


def _repeated(
    prefixes: Int64[Tensor, "batch candidates length"],
) -> Tensor:
    """Whether an earlier candidate of the row, the target included, has the same prefix."""
    same = (prefixes[:, :, None] == prefixes[:, None]).all(-1)
    return same.tril(-1).any(-1)
