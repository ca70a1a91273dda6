"""Recomputing the layers of a `transformers` model in the backward pass, in any mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint


@contextmanager
def checkpointed_layers(model: nn.Module) -> Iterator[None]:
    """Checkpoint every layer of a forward pass inside, and none afterwards.

    `transformers` recomputes a layer in training mode only, and then drops a cache without a word.
    An objective that switches dropout off trains in evaluation mode, and decoding needs its caches.
    So the switch is on for one pass, and each layer runs in the mode that it had.

    Raises:
        ValueError: If the model has no layers that can be recomputed.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers: list[Any] = [
        module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)
    ]
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no layers that can be recomputed: set "
            "gradient_checkpointing to false"
        )
    modes = [layer.training for layer in layers]
    try:
        for layer, mode in zip(layers, modes, strict=True):
            layer._gradient_checkpointing_func = partial(_recomputed, layer, mode)
            layer.gradient_checkpointing = layer.training = True
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.gradient_checkpointing, layer.training = False, mode
            del layer._gradient_checkpointing_func


def _recomputed(layer: nn.Module, mode: bool, function: Any, *inputs: Any) -> Any:
    """A layer's output; it is computed, and computed again, in the mode that it had."""
    return checkpoint(partial(_in_mode, layer, mode, function), *inputs, use_reentrant=False)


def _in_mode(layer: nn.Module, mode: bool, function: Any, *inputs: Any) -> Any:
    before = layer.training
    layer.training = mode
    try:
        return function(*inputs)
    finally:
        layer.training = before
