"""What people run today to recommend: `generate` with a callback that walks a trie of dicts."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from transformers import LlamaForCausalLM, T5ForConditionalGeneration
from transformers_alternative import PADDING, LlamaAlternative, T5Alternative

from beamwise.catalog import Catalog


class ConstrainedGenerator:
    """`generate` with a trie callback; a Llama reads histories padded on the left."""

    def __init__(
        self,
        model: T5ForConditionalGeneration | LlamaForCausalLM,
        catalog: Catalog,
        beam_width: int,
    ) -> None:
        settings: Any = model.generation_config
        settings.eos_token_id = None  # all items are equally long: there is no end
        settings.pad_token_id = PADDING
        self._model: Any = model
        is_t5 = isinstance(model, T5ForConditionalGeneration)
        self._alternative = (T5Alternative if is_t5 else LlamaAlternative)(model, catalog)
        self._num_read = 1
        """Tokens of a sequence before those that are generated: T5's is its start token."""
        self._beam_width = beam_width
        self._levels = catalog.num_levels
        self._trie: dict[int, Any] = {}
        self._items_of: dict[tuple[int, ...], list[int]] = {}
        for item, tokens in enumerate(self._alternative.item_tokens.tolist()):
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
        inputs = self._alternative.collate(histories)
        inputs.pop("position_ids", None)  # `generate` makes them from the mask
        if isinstance(self._alternative, LlamaAlternative):
            self._num_read = inputs["input_ids"].shape[1]
        output = self._model.generate(
            **inputs,
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
        tokens = output.sequences[:, self._num_read :]
        return tokens.reshape(*shape, self._levels), output.sequences_scores.view(shape)

    def _legal_tokens(self, _: int, tokens: Int64[Tensor, " tokens"]) -> list[int]:
        node = self._trie
        for token in tokens[self._num_read :].tolist():
            node = node[token]
        return list(node)
