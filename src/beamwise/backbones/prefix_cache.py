"""Keys and values of contexts and prefixes in the shape that models of `transformers` take them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

KeysValues = tuple[Float[Tensor, "batch heads tokens head_dim"], ...]
"""Of every layer."""


class PrefixLayer:
    """One layer's keys and values: it shows those of context and nodes, and keeps the nodes'.

    What it was made from is never changed, so branches of one cache do not disturb each other, and
    the context's part is held once, however many caches continue it.
    """

    def __init__(self, context: tuple[Tensor, Tensor], nodes: tuple[Tensor, Tensor] | None) -> None:
        super().__init__()
        self.context = context
        self.nodes = nodes

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append new nodes; returns keys and values of the context and of all nodes."""
        new = (key_states, value_states)
        known = [new] if self.nodes is None else [self.nodes, new]
        self.nodes = _joined(known)
        return _joined([self.context, self.nodes])

    def get_seq_length(self) -> int:
        """Tokens of the context and nodes."""
        parts = [self.context] if self.nodes is None else [self.context, self.nodes]
        return sum(keys.shape[-2] for keys, _ in parts)


def prefix_cache(
    context: Sequence[tuple[Tensor, Tensor]], nodes: Sequence[tuple[Tensor, Tensor]]
) -> Cache:
    """A cache that continues contexts.

    Args:
        context: Keys and values of the contexts, by layer.
        nodes: Of the nodes that were computed before, by layer; empty where there are none.
    """
    from transformers.cache_utils import Cache

    known = nodes or [None] * len(context)
    layer = _layer_of_transformers()
    return Cache(layers=[layer(*both) for both in zip(context, known, strict=True)])


def kept(filled: Cache) -> tuple[KeysValues, KeysValues]:
    """Keys and values of the nodes, by layer."""
    layers: list[Any] = filled.layers
    keys, values = zip(*(layer.nodes for layer in layers), strict=True)
    return keys, values


@cache
def _layer_of_transformers() -> type[Any]:
    """`PrefixLayer` as a kind of its layers; made late, since `transformers` is an extra."""
    from transformers.cache_utils import DynamicLayer

    return type("TransformersPrefixLayer", (PrefixLayer, DynamicLayer), {})


def _joined(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    if len(parts) == 1:
        return parts[0]
    keys, values = zip(*parts, strict=True)
    return torch.cat(keys, -2), torch.cat(values, -2)
