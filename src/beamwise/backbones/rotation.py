"""Rotary position embedding (arXiv:2104.09864) as products of complex numbers."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int64
from torch import Tensor


def rotations(
    positions: Int64[Tensor, "batch tokens"], num_heads: int, head_dim: int, theta: float
) -> Complex[Tensor, "batch tokens 2 heads half"]:
    """What queries (0) and keys (1) at these positions are multiplied by, in complex64.

    A pair i of a head turns by position * theta ** (-2 i / head_dim) radians. Queries are scaled by
    head_dim ** -0.5 at the same time. Repeated for every head, since a product that broadcasts
    over so short rows takes several times as long.
    """
    pairs = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device)
    angles = positions[..., None].float() * (1.0 / theta ** (pairs / head_dim))
    turns = torch.polar(torch.ones_like(angles), angles)
    both = torch.stack((turns * head_dim**-0.5, turns), dim=2)
    return both[..., None, :].expand(-1, -1, -1, num_heads, -1).contiguous()


def rotate(
    queries_keys: Float[Tensor, "batch tokens 2 heads head_dim"],
    turns: Complex[Tensor, "batch_or_one tokens 2 heads half"],
) -> Float[Tensor, "batch tokens 2 heads head_dim"]:
    """Turn each pair of neighbouring numbers by its position; queries come out scaled."""
    exact = queries_keys.to(torch.promote_types(queries_keys.dtype, torch.float32))
    pairs = torch.view_as_complex(exact.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2).to(queries_keys.dtype)
