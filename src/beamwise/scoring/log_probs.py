"""Log-probabilities and logits of some tokens, with backward passes that write gradients once."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


def token_log_probs(
    logits: Float[Tensor, "nodes vocab"],
    places: Int64[Tensor, "*shape"],
    tokens: Int64[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Log-softmax of `logits` over the vocabulary, at (node, token) pairs only, in nats.

    The same value and gradient as `log_softmax` and `gather`; the backward pass writes the
    gradient of the logits once instead of three times, and without a backward pass only the
    normalisers are formed.
    """
    flat = (places * logits.shape[1] + tokens).flatten()
    if not (torch.is_grad_enabled() and logits.requires_grad):
        normalizer = logits.logsumexp(1)
        return logits.flatten()[flat].view(places.shape) - normalizer[places]
    return _GatheredLogSoftmax.apply(logits, flat).view(places.shape)


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


class _GatheredLogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, flat: Tensor) -> Tensor:
        log_probs = F.log_softmax(logits, dim=-1)
        ctx.save_for_backward(log_probs, flat)
        return log_probs.flatten()[flat]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (gradient,) = grad_outputs
        log_probs, flat = ctx.saved_tensors
        nodes, vocab = log_probs.shape
        pull = gradient.new_zeros(nodes).scatter_add_(0, flat // vocab, gradient)
        result = log_probs.exp().mul_(pull.neg_()[:, None])
        result.view(-1).scatter_add_(0, flat, gradient)
        return result, None


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
