"""The beam's width as an objective's setting: one for all levels, or one a level."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from pydantic import PositiveInt
from torch import Tensor

BeamWidth = PositiveInt | tuple[PositiveInt, ...]


def beam_widths(beam_width: int | tuple[int, ...]) -> Int64[Tensor, " levels_or_one"]:
    """The widths as a tensor to compute with: one a level, or one that stands for all."""
    widths = (beam_width,) if isinstance(beam_width, int) else beam_width
    return torch.tensor(widths, dtype=torch.int64)


def check_beam_width(beam_width: int | tuple[int, ...], num_levels: int) -> None:
    """Refuse widths that are not one a level.

    Raises:
        ValueError: If there are several, and not `num_levels` of them.
    """
    if not isinstance(beam_width, int) and len(beam_width) != num_levels:
        raise ValueError(
            f"the objective's beam_width must be one width, or one for each of {num_levels} "
            f"levels, got {list(beam_width)}"
        )
