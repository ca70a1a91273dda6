"""What people run today: a `transformers` T5 trained and decoded in the usual way.

Histories are padded to the longest of the batch, candidates are scored by repeating the encoder's
states for each, and decoding is `generate` with a callback that walks a trie of dictionaries.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import softplus
from torch.nn.utils.rnn import pad_sequence
from transformers import T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from beamwise.catalog import END_TOKEN, Catalog

PADDING = 0
Inputs = dict[str, Tensor]


class Tokenizer:
    """Items as tokens, and histories as padded batches."""

    def __init__(self, catalog: Catalog) -> None:
        paths = catalog.leaf_tokens[catalog.leaf_of_item.long()].long()
        self.item_tokens: Int64[Tensor, "items levels"] = paths
        self._tokens_of = paths.tolist()

    def collate(self, histories: Int64[Tensor, "batch history"]) -> Inputs:
        """Each history's tokens and an end token, padded to the longest of the batch."""
        rows = [
            [token for item in history if item >= 0 for token in self._tokens_of[item]]
            for history in histories.tolist()
        ]
        tokens = [torch.tensor([*row, END_TOKEN]) for row in rows]
        input_ids = pad_sequence(tokens, batch_first=True, padding_value=PADDING)
        return {"input_ids": input_ids, "attention_mask": (input_ids != PADDING).long()}


def cross_entropy(
    model: T5ForConditionalGeneration, inputs: Inputs, targets: Int64[Tensor, "batch levels"]
) -> Float[Tensor, ""]:
    """The model's own loss: the mean over tokens."""
    return model(**inputs, labels=targets).loss


def pairwise(
    model: T5ForConditionalGeneration,
    inputs: Inputs,
    candidates: Int64[Tensor, "batch candidates levels"],
    *,
    beta: float,
) -> Float[Tensor, ""]:
    """Cross-entropy and the pairwise loss of every prefix (APAO) with equal weights, the mean.

    Args:
        model: The T5.
        inputs: Of `Tokenizer.collate`.
        candidates: Tokens; candidate 0 is the target, the others are negatives.
        beta: Weight of the prefix-aware term.
    """
    levels = candidates.shape[2]
    log_probs = candidate_log_probs(model, inputs, candidates)
    prefix_loss = torch.zeros(len(candidates))
    for length in range(1, levels + 1):
        scores = log_probs[:, :, :length].sum(2)
        margins = scores[:, 1:] - scores[:, :1]
        margins = margins.masked_fill(_repeated(candidates[:, :, :length])[:, 1:], -torch.inf)
        prefix_loss = prefix_loss + softplus(margins.logsumexp(1)) / levels
    return (-log_probs[:, 0].mean(1) + beta * prefix_loss).mean()


def candidate_log_probs(
    model: T5ForConditionalGeneration,
    inputs: Inputs,
    candidates: Int64[Tensor, "batch candidates levels"],
) -> Float[Tensor, "batch candidates levels"]:
    """Log-probability of every token of every candidate; the encoder runs once a history."""
    num_candidates = candidates.shape[1]
    encoded = model.encoder(**inputs).last_hidden_state
    tokens = candidates.flatten(0, 1)
    output = model(
        encoder_outputs=BaseModelOutput(encoded.repeat_interleave(num_candidates, dim=0)),
        attention_mask=inputs["attention_mask"].repeat_interleave(num_candidates, dim=0),
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(tokens),
    )
    log_probs = output.logits.log_softmax(-1)
    return log_probs.gather(2, tokens[..., None]).squeeze(2).view(candidates.shape)


class ConstrainedGenerator:
    """`generate` with a trie callback."""

    def __init__(
        self, model: T5ForConditionalGeneration, catalog: Catalog, beam_width: int
    ) -> None:
        model.generation_config.eos_token_id = None  # all items are equally long: there is no end
        self._model: Any = model
        self._tokenizer = Tokenizer(catalog)
        self._beam_width = beam_width
        self._levels = catalog.num_levels
        self._trie: dict[int, Any] = {}
        self._items_of: dict[tuple[int, ...], list[int]] = {}
        for item, tokens in enumerate(self._tokenizer.item_tokens.tolist()):
            self._items_of.setdefault(tuple(tokens), []).append(item)
            node = self._trie
            for token in tokens:
                node = node.setdefault(token, {})

    def recommend(self, histories: Int64[Tensor, "batch history"]) -> list[list[int]]:
        """The items of the best beams of each user, best first."""
        sequences = self.search(histories)[0]
        return [
            [item for tokens in beams for item in self._items_of[tuple(tokens)]]
            for beams in sequences.tolist()
        ]

    @torch.no_grad()
    def search(
        self, histories: Int64[Tensor, "batch history"]
    ) -> tuple[Int64[Tensor, "batch beams levels"], Float[Tensor, "batch beams"]]:
        """Tokens of the best beams and their log-probabilities."""
        output = self._model.generate(
            **self._tokenizer.collate(histories),
            num_beams=self._beam_width,
            num_return_sequences=self._beam_width,
            max_new_tokens=self._levels,
            min_new_tokens=self._levels,
            length_penalty=0.0,
            prefix_allowed_tokens_fn=self._legal_tokens,
            return_dict_in_generate=True,
            output_scores=True,
        )
        shape = (len(histories), self._beam_width)
        tokens = output.sequences[:, 1:]
        return tokens.reshape(*shape, self._levels), output.sequences_scores.view(shape)

    def _legal_tokens(self, _: int, tokens: Int64[Tensor, " tokens"]) -> list[int]:
        node = self._trie
        for token in tokens.tolist()[1:]:
            node = node[token]
        return list(node)


def _repeated(
    prefixes: Int64[Tensor, "batch candidates length"],
) -> Tensor:
    """Whether an earlier candidate of the row, the target included, has the same prefix."""
    same = (prefixes[:, :, None] == prefixes[:, None]).all(-1)
    return same.tril(-1).any(-1)
