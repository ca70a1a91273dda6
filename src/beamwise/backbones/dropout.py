"""Dropout that costs a CPU little."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

STEPS = 2**16
"""Random numbers of 16 bits: a probability is rounded to a multiple of 1 / STEPS."""


def dropped(
    values: Float[Tensor, "*shape"], probability: float, training: bool = True
) -> Float[Tensor, "*shape"]:
    """Set each value to 0 with a probability, and scale the others so that the mean stays.

    On a CPU one draw of 64 bits decides four values, and all that follows are products of floats:
    several times as fast as PyTorch's (`benchmarks/kernels.py`). Elsewhere it is PyTorch's.

    Args:
        values: Activations or attention weights.
        probability: Of being dropped, in [0, 1).
        training: Nothing is dropped where this is not so.
    """
    if not training or probability == 0:
        return values
    if values.device.type != "cpu":
        return F.dropout(values, probability)
    return (values * _scaled_mask(values, probability)).to(values.dtype)


def _scaled_mask(values: Float[Tensor, "*shape"], probability: float) -> Float[Tensor, "*shape"]:
    """0 where a value is dropped, the scale of what is kept elsewhere."""
    num_dropped = round(probability * STEPS)
    bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    drawn = bits.view(torch.int16)[: values.numel()].view(values.shape)
    # whole numbers from -STEPS / 2 up: at least 1 after the shift where kept, at most 0 where not
    shift = STEPS // 2 - num_dropped + 1
    kept = drawn.to(torch.float32).add_(shift).clamp_(0, 1)
    return kept.mul_(STEPS / (STEPS - num_dropped))
