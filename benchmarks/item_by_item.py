"""How items are ranked without a prefix tree: `transformers`, one row an item and user."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from transformers_alternative import LlamaAlternative, T5Alternative

from beamwise.backbones import Llama, Tiger
from beamwise.catalog import Catalog

ITEMS_AT_ONCE = 64
"""Rows of one pass; more were slower on a CPU."""


class ItemByItem:
    """Scores every leaf of a catalog whose items are equally long."""

    def __init__(self, backbone: Tiger | Llama, catalog: Catalog) -> None:
        model = backbone.to_huggingface().eval()
        kind = LlamaAlternative if isinstance(backbone, Llama) else T5Alternative
        self._alternative = kind(model, catalog)
        self._paths = catalog.leaf_tokens.long()
        self._catalog = catalog

    @torch.no_grad()
    def log_probs(self, history: Int64[Tensor, "1 history"], mask: str) -> Float[Tensor, " leaves"]:
        """The log-probability of every leaf, in nats.

        Args:
            history: Of one user, which every row reads anew.
            mask: "after", or "before" to normalise over the legal tokens.
        """
        logits = torch.cat(
            [self._logits(history, some) for some in self._paths.split(ITEMS_AT_ONCE)]
        )
        if mask == "before":
            logits = logits.where(self._legal(), -torch.inf)
        steps = logits.log_softmax(-1).gather(2, self._paths[..., None])[..., 0]
        return steps.sum(dim=1)

    def _logits(
        self, history: Int64[Tensor, "1 history"], paths: Int64[Tensor, "items levels"]
    ) -> Float[Tensor, "items levels vocab"]:
        histories = history.expand(len(paths), -1)
        if isinstance(self._alternative, LlamaAlternative):
            inputs = self._alternative.collate(histories, paths)
            logits = self._alternative.model(**inputs, use_cache=False).logits
            return logits[:, -paths.shape[1] - 1 : -1]
        return self._alternative.model(**self._alternative.collate(histories), labels=paths).logits

    def _legal(self) -> Tensor:
        """The tokens that may follow at each level of each path."""
        catalog = self._catalog
        upper = torch.nn.functional.pad(catalog.leaf_nodes.long()[:, :-1], (1, 0))
        owner, tokens, _ = catalog.children(upper.flatten())
        legal = torch.zeros(upper.numel(), catalog.vocab_size, dtype=torch.bool)
        legal[owner, tokens] = True
        return legal.view(*upper.shape, -1)
