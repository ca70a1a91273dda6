"""Reductions over consecutive segments of a flat tensor: ragged rows without padding."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def segment_sum(
    values: Float[Tensor, " total"], counts: Int64[Tensor, " segments"]
) -> Float[Tensor, " segments"]:
    """Sum of each of the consecutive segments of `counts` values; 0 for an empty one."""
    # "unsafe" leaves out a check of the counts for which a GPU would have to be waited for.
    return torch.segment_reduce(values, "sum", lengths=counts, unsafe=True)


def segment_logsumexp(
    values: Float[Tensor, " total"], counts: Int64[Tensor, " segments"]
) -> Float[Tensor, " segments"]:
    """Log of the sum of exp over consecutive segments of `counts` values; -inf for an empty one.

    The backward pass is the softmax within segments, formed at once; an empty segment, whose
    derivative would be 0 / 0, has no part in it.
    """
    segments = torch.arange(len(counts), device=counts.device)
    owner = segments.repeat_interleave(counts, output_size=len(values))
    return _SegmentLogSumExp.apply(values, counts, owner)


def segment_kth_largest(
    values: Float[Tensor, " total"],
    counts: Int64[Tensor, " segments"],
    owner: Int64[Tensor, " total"],
    k: Int64[Tensor, " segments"],
) -> Float[Tensor, " segments"]:
    """The k-th largest value of each segment, of equal values each counted; no gradient.

    The whole is sorted at once, by segment and value, so the cost does not depend on how uneven
    the segments are, and nothing waits for a device.

    Args:
        values: Segments end to end, not all of them empty.
        counts: Values of each segment.
        owner: The segment of each value, ascending.
        k: From 1 to the segment's count; anything where that is 0.

    Returns:
        The value of each segment; 0 for an empty one.
    """
    place = (counts.cumsum(0) - k).clamp(min=0, max=len(values) - 1)
    if values.dtype == torch.float32:
        # One sort of integers, six times as fast as two of what follows: segment above, value below
        ordered = (owner << 32) + _ordered_bits(values.detach().view(torch.int32))
        found = _ordered_bits(ordered.sort().values[place].to(torch.int32)).view(torch.float32)
    else:
        order = values.detach().argsort()
        order = order[owner[order].argsort(stable=True)]
        found = values.detach()[order[place]]
    return found.masked_fill(counts == 0, 0.0)


def _ordered_bits(bits: Tensor) -> Tensor:
    """From a float's bits to an integer of the same order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


class _SegmentLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, counts: Tensor, owner: Tensor) -> Tensor:
        peak = values.new_full((len(counts),), -torch.inf).scatter_reduce_(0, owner, values, "amax")
        shifted = (values - peak.index_select(0, owner)).exp_()
        result = peak + segment_sum(shifted, counts).log_()
        ctx.save_for_backward(values, owner, result)
        return result

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = grad_outputs
        values, owner, result = ctx.saved_tensors
        softmax = (values - result.index_select(0, owner)).exp_()
        return softmax.mul_(gradient.index_select(0, owner)), None, None
