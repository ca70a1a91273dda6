"""What a prefix loss certifies: bounds from below on a target's survival in beam search.

A beam of width K_m drops a target's prefix of length m only if at least K_m other prefixes reach
its score. Each of them adds at least 1 to exp(phi_m), the sum over all its competitors of their
probability relative to its own; so a pruned target has exp(phi_m) >= K_m at some length, and
I_beam, which is 1 where the target survives every level and 0 otherwise, is bounded from below.

The bounds hold where phi runs over every other legal prefix of that length, with weight 1,
temperature 1 and scores as the beam ranks them (same mask). Sampled negatives certify nothing,
and neither does a loss that is divided by the prefix's length.

A pairwise loss that has the widths in it, log(1 + exp(phi_m) / K_m), certifies survival where it is
below log 2 at every length, which is exp(phi_m) < K_m again. Its linear bound, 1 - max L_m / log 2,
is `survival_bound_from_losses` with a width of 1, since its own widths are in the losses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def survival_bound(
    log_odds: Float[Tensor, "batch levels"], beam_width: int | Sequence[int]
) -> Float[Tensor, " batch"]:
    """Bound from the competition itself: I_beam >= 1 - max_m exp(phi_m) / K_m.

    Args:
        log_odds: phi, as `competition_log_odds` gives it for all competitors.
        beam_width: K, one for all levels or one a level, >= 1.

    Returns:
        The bound per target, at most 1; above 0 it certifies survival, otherwise it says nothing.

    Raises:
        ValueError: If a width is below 1 or there is not one a level.
    """
    return 1 - (log_odds - _widths(beam_width, log_odds).log()).amax(1).exp()


def survival_bound_from_losses(
    losses: Float[Tensor, "batch levels"], beam_width: int | Sequence[int]
) -> Float[Tensor, " batch"]:
    """Bound linear in the pairwise loss: I_beam >= 1 - max_m L_m / log(1 + K_m).

    It follows from L = log(1 + exp(phi)) and is what minimising the worst prefix's loss raises.

    Args:
        losses: `pairwise_prefix_losses`, not divided by length, for all competitors.
        beam_width: As in `survival_bound`; 1 where the losses were made with widths of their own.

    Returns:
        The bound per target, at most 1; above 0 it certifies survival, otherwise it says nothing.

    Raises:
        ValueError: As `survival_bound`.
    """
    return 1 - (losses / _widths(beam_width, losses).log1p()).amax(1)


def survives_by_probability(
    log_probs: Float[Tensor, "batch levels"], beam_width: int | Sequence[int]
) -> Bool[Tensor, " batch"]:
    """Whether probability alone certifies survival: -log P(prefix of length m) < log(1 + K_m).

    A target whose prefix is more probable than 1 / (1 + K_m) leaves no room for K_m others that are
    at least as probable. No competitor needs to be scored.

    Args:
        log_probs: Of each target token given the true ones before it, in nats; 0 past the end.
        beam_width: As in `survival_bound`.

    Returns:
        True where every prefix is certain to survive.

    Raises:
        ValueError: As `survival_bound`.
    """
    return (-log_probs.cumsum(1) < _widths(beam_width, log_probs).log1p()).all(1)


def _widths(
    beam_width: int | Sequence[int], like: Float[Tensor, "batch levels"]
) -> Float[Tensor, " levels"]:
    levels = like.shape[1]
    widths = [beam_width] * levels if isinstance(beam_width, int) else list(beam_width)
    if len(widths) != levels or min(widths) < 1:
        raise ValueError(
            f"beam_width must be one width >= 1, or one for each of {levels} levels, "
            f"got {beam_width}"
        )
    return torch.tensor(widths, dtype=like.dtype, device=like.device)
