"""Log-probabilities and logits of some tokens."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def token_log_probs(
    logits: Float[Tensor, "nodes vocab"],
    places: Int64[Tensor, "*shape"],
    tokens: Int64[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Log-softmax of `logits` over the vocabulary, at (node, token) pairs only, in nats.

    Without a backward pass only the normalisers are formed.
    """
    flat = (places * logits.shape[1] + tokens).flatten()
    if not (torch.is_grad_enabled() and logits.requires_grad):
        normalizer = logits.logsumexp(1)
        return logits.flatten()[flat].view(places.shape) - normalizer[places]
    return logits.log_softmax(dim=1).flatten().gather(0, flat).view(places.shape)


def token_logits(
    logits: Float[Tensor, "nodes vocab"],
    places: Int64[Tensor, " pairs"],
    tokens: Int64[Tensor, " pairs"],
) -> Float[Tensor, " pairs"]:
    """`logits[places, tokens]`, for pairs of which none stands twice.

    Since none does, the backward pass writes each gradient to its place and adds nothing up.
    """
    return taken_once(logits.flatten(), places * logits.shape[1] + tokens)


def taken_once(
    values: Float[Tensor, " known"], places: Int64[Tensor, " taken"]
) -> Float[Tensor, " taken"]:
    """`values[places]`, where no place stands twice but those of constants."""
    return _TakenOnce.apply(values, places)


class _TakenOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, flat: Tensor) -> Tensor:
        ctx.save_for_backward(flat)
        ctx.length = len(values)
        return values[flat]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (gradient,) = grad_outputs
        (flat,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.length).scatter_(0, flat, gradient), None
