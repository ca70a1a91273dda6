"""What a language model has computed: of prompts, and of the nodes on top of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.backbones.base import History, PrefixNodes
from beamwise.backbones.forest import Forest
from beamwise.backbones.prefix_masks import ancestors_seen, context_seen

Layers = tuple[Float[Tensor, "batch heads tokens head_dim"], ...]
"""Keys or values of every layer."""


@dataclass(frozen=True)
class PretrainedContext:
    """Prompts as every layer's keys and values, and the last hidden state of each token."""

    keys: Layers
    values: Layers
    hidden: Float[Tensor, "batch context dim"]
    lengths: Int64[Tensor, " batch"]

    def select(self, rows: Int64[Tensor, " rows"]) -> PretrainedContext:
        """The context of these rows."""
        return PretrainedContext(
            tuple(keys[rows] for keys in self.keys),
            tuple(values[rows] for values in self.values),
            self.hidden[rows],
            self.lengths[rows],
        )


@dataclass(frozen=True)
class PretrainedCache:
    """Keys and values of the nodes that were computed; see `LlamaCache` for the numbering."""

    keys: Layers
    """None at all before the first node is computed, and so `values`."""
    values: Layers
    parents: Int64[Tensor, "batch computed"]
    places: Int64[Tensor, " known"]

    def select(self, rows: Int64[Tensor, " rows"]) -> PretrainedCache:
        """The nodes of these rows."""
        return PretrainedCache(
            tuple(keys[rows] for keys in self.keys),
            tuple(values[rows] for values in self.values),
            self.parents[rows],
            self.places,
        )


def sight_of(
    forest: Forest, lengths: Int64[Tensor, " batch"], width: int
) -> tuple[Bool[Tensor, "batch new context"], Bool[Tensor, "batch new computed"]]:
    """Of the new nodes: the context that each sees, and the nodes."""
    num_depths = len(forest.nodes.depth_bounds())
    seen = ancestors_seen(forest.parents, forest.num_new, num_depths)
    return context_seen(forest.nodes, lengths, width), seen


def roots_of(
    hidden: Float[Tensor, "batch context dim"],
    lengths: Int64[Tensor, " batch"],
    nodes: PrefixNodes,
) -> Float[Tensor, "batch nodes dim"]:
    """What every node would be as a root: the last token of the context that it sees."""
    last = torch.minimum(nodes.context_length, lengths[:, None]).clamp(min=1) - 1
    return hidden.gather(1, last[..., None].expand(-1, -1, hidden.shape[-1]))


def positions_of(history: History) -> Int64[Tensor, "batch context"]:
    """Where the tokens of the prompts stand."""
    places = torch.arange(history.tokens.shape[1], device=history.tokens.device)
    return places.expand(history.tokens.shape[0], -1)
