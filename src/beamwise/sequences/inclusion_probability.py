"""How probable it is that a uniform draw of leaves meets a prefix."""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor


def log_inclusion_probability(
    num_below: Int64[Tensor, " prefixes"], num_others: int, count: int
) -> Float64[Tensor, " prefixes"]:
    """Log-probability that a draw without replacement meets a prefix (hypergeometric).

        pi = 1 - C(N - n, k) / C(N, k) = 1 - prod_{i < k} (1 - n / (N - i))

    As a sum of logarithms, because log-gamma functions would cancel: for N = 1e8 they leave no
    digit of pi.

    Args:
        num_below: n, leaves below the prefix, none of them the target.
        num_others: N, leaves that can be drawn.
        count: k, leaves drawn.
    """
    remaining = num_others - torch.arange(count, dtype=torch.float64, device=num_below.device)
    shares = (num_below.double()[:, None] / remaining).clamp(max=1.0)  # 1: some draw must meet it
    log_missed = torch.log1p(-shares).sum(1)
    return torch.log(-torch.expm1(log_missed))
