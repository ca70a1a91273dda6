"""The levels of a prefix-aware loss: tokens, or prefixes that end where paths part."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.objectives.base import CandidateScores, PrefixLevels

Levels = Literal["tokens", "branching"]


class LevelScores(NamedTuple):
    """Scores of the targets' candidates, level by level."""

    log_probs: Float[Tensor, "batch candidates levels"]
    """Of what each level adds to the one before, in nats; 0 past a candidate's end."""
    counts: Bool[Tensor, "batch candidates levels"]
    """Which prefixes compete, as in `CandidateScores`."""
    log_weights: Float[Tensor, "batch candidates levels"] | None
    lengths: Int64[Tensor, "#batch levels"]
    """Tokens of the target's prefix; 0 where it has none."""


def prefix_levels_of(scores: CandidateScores) -> PrefixLevels:
    """The levels that end where paths part, where `Needs.branching_levels` asks for them.

    Raises:
        ValueError: If there are none.
    """
    if scores.prefixes is None:
        raise ValueError(
            "need the prefixes that end where paths part, got none: score with "
            "branching_levels=True"
        )
    return scores.prefixes


def level_scores(
    scores: CandidateScores, levels: Levels, max_prefixes: int | None = None
) -> LevelScores:
    """The scores by level, of which the first `max_prefixes` are kept; all where None.

    Raises:
        ValueError: If there are no log-probabilities, or not the levels that are asked for.
    """
    log_probs = scores.vocabulary_log_probs
    if levels == "tokens":
        counts, log_weights = scores.counts, scores.log_weights
        lengths = torch.arange(1, log_probs.shape[2] + 1, device=log_probs.device)[None]
    else:
        prefixes = prefix_levels_of(scores)
        counts, log_weights, lengths = prefixes.counts, prefixes.log_weights, prefixes.lengths
        log_probs = sums_between(log_probs, lengths)
    kept = slice(max_prefixes)
    weights = None if log_weights is None else log_weights[..., kept]
    return LevelScores(log_probs[..., kept], counts[..., kept], weights, lengths[:, kept])


def sums_between(
    log_probs: Float[Tensor, "batch candidates tokens"], lengths: Int64[Tensor, "batch levels"]
) -> Float[Tensor, "batch candidates levels"]:
    """What each level adds: the sum over the tokens from one of `lengths` to the next.

    A candidate that ended before has zeros there, so that its score stays what it was.

    Args:
        log_probs: Of each token, in nats; 0 past a candidate's end.
        lengths: Tokens of each level's prefix, ascending; 0 where there is none.
    """
    num_tokens, num_levels = log_probs.shape[2], lengths.shape[1]
    tokens = torch.arange(num_tokens, device=lengths.device)
    beyond = tokens >= lengths.amax(1, keepdim=True)
    passed = (lengths[..., None] > 0) & (lengths[..., None] <= tokens)
    level = passed.sum(1).masked_fill(beyond, num_levels)
    sums = log_probs.new_zeros(*log_probs.shape[:2], num_levels + 1)
    return sums.scatter_add(2, level[:, None].expand_as(log_probs), log_probs)[..., :num_levels]
