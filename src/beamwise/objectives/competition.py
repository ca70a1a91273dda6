"""What stands against a target: how much its competitors outweigh it, prefix by prefix."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def check_negatives(num_candidates: int) -> None:
    """Refuse candidates among which there is no negative.

    Raises:
        ValueError: If there are fewer than two.
    """
    if num_candidates < 2:
        raise ValueError(
            f"need a target and >= 1 negative, got {num_candidates} candidate(s): "
            "score sampled negatives as candidates 1, 2, ..."
        )


def competition_log_odds(
    log_probs: Float[Tensor, "batch candidates levels"],
    counts: Bool[Tensor, "batch candidates levels"],
    log_weights: Float[Tensor, "batch candidates levels"] | None = None,
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "batch levels"]:
    """How much the competing prefixes outweigh the target's: phi of APAO's Eq. (14).

    With s_j(m) the sum of candidate j's first m log-probabilities (Eq. 13), 0 the target, and v_j
    the weight of a competitor (1 where not given):

        phi(m) = log sum_{j > 0 that counts} v_j(m) exp((s_j(m) - s_0(m)) / temperature)

    Args:
        log_probs: Of each token given those before it, in nats, candidate 0 the target.
        counts: Which prefixes compete, as in `CandidateScores`.
        log_weights: log v, as in `CandidateScores`.
        temperature: Divides the score differences, > 0.

    Returns:
        phi per target and length, in nats; -inf, with zero gradient, where nothing competes or the
        target has no such prefix.

    Raises:
        ValueError: If there are no negatives.
    """
    check_negatives(log_probs.shape[1])
    prefix_scores = log_probs.cumsum(2)
    terms = (prefix_scores[:, 1:] - prefix_scores[:, :1]) / temperature
    if log_weights is not None:
        terms = terms + log_weights[:, 1:].to(terms.dtype)
    return log_sum_of_counting(terms, counts[:, 1:] & counts[:, :1])


def log_sum_of_counting(
    terms: Float[Tensor, "batch negatives *levels"],
    counts: Bool[Tensor, "batch negatives *levels"],
) -> Float[Tensor, " batch *levels"]:
    """Log of the sum of exp over the terms that count; -inf, with zero gradient, where none does.

    `logsumexp` over -inf alone would give a gradient of NaN, so it runs over zeros there.
    """
    contested = counts.any(1)
    terms = terms.masked_fill(~counts, -torch.inf).masked_fill(~contested[:, None], 0.0)
    return terms.logsumexp(1).masked_fill(~contested, -torch.inf)
