"""Legal logits step by step: to write them by hand, and to loop over them in naive oracles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from beamwise.objectives.base import CandidateScores, LegalLogits


def legal_scores(rows: Sequence[Sequence[Sequence[float | int]]]) -> CandidateScores:
    """Scores in float64 whose target's token comes first in every step.

    Log-probabilities are those of the legal softmax; logits are a leaf that requires a gradient.

    Args:
        rows: The legal logits of every step of every target, one target at least of all levels.
    """
    levels = max(len(row) for row in rows)
    counts = torch.tensor([[len(step) for step in row] + [0] * (levels - len(row)) for row in rows])
    places = (counts.flatten().cumsum(0) - counts.flatten()).view(counts.shape)
    logits = torch.tensor([x for row in rows for step in row for x in step], dtype=torch.float64)
    step = torch.arange(counts.numel()).repeat_interleave(counts.flatten())
    places = places.masked_fill(counts == 0, 0)
    legal = LegalLogits(logits.requires_grad_(), step, counts, places)
    log_probs = torch.zeros(len(rows), 1, levels, dtype=torch.float64)
    for one in steps_of(legal):
        log_probs[one.row, 0, one.level] = one.logits.detach().log_softmax(0)[one.own]
    return CandidateScores(log_probs.requires_grad_(), (counts > 0)[:, None], legal=legal)


class Step(NamedTuple):
    """One step of one target's path."""

    row: int
    level: int
    logits: Float[Tensor, " legal"]
    own: int
    """Place of the target's token among them."""


def steps_of(legal: LegalLogits) -> list[Step]:
    """Every step that has tokens, in order; slices of the logits, so gradients flow."""
    levels = legal.counts.shape[1]
    ends = legal.counts.flatten().cumsum(0).tolist()
    steps = []
    for number, (end, count) in enumerate(zip(ends, legal.counts.flatten().tolist(), strict=True)):
        row, level = divmod(number, levels)
        if count:
            own = int(legal.target_place[row, level]) - (end - count)
            steps.append(Step(row, level, legal.logits[end - count : end], own))
    return steps
