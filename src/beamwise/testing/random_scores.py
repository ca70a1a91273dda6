"""Random candidate scores, as a scorer could give them, for tests of objectives."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from beamwise.objectives.base import CandidateScores, LegalLogits

MAX_LEGAL = 6
"""Most legal tokens of a step."""


def random_scores(
    seed: int = 0,
    batch: int = 5,
    candidates: int = 4,
    levels: int = 3,
    *,
    weighted: bool = False,
    items: bool = False,
    legal: bool = False,
    reference: bool = False,
) -> CandidateScores:
    """Scores in float64: paths of 1 to `levels` tokens, some prefixes that do not compete.

    The first row's paths all have `levels` tokens. `log_probs` and the legal logits are leaves that
    require a gradient. One seed gives the same `log_probs` and `counts` whatever else is asked for.

    Args:
        seed: Of everything random.
        batch: Targets.
        candidates: The target and its negatives.
        levels: Tokens of the longest path.
        weighted: Whether competitors have weights.
        items: Whether `is_item` is given: False for some that compete as prefixes only.
        legal: Whether legal logits are given: as the softmax over a vocabulary has them whose other
            tokens have a part of the mass, so that `log_probs` of the target agree with them.
        reference: Whether a reference's log-probabilities are given.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, candidates, levels)
    log_probs = -3 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.1
    lengths = torch.randint(1, levels + 1, (batch, candidates), generator=generator)
    lengths[0] = levels
    exists = torch.arange(levels) < lengths[..., None]
    log_probs = log_probs.where(exists, 0.0)
    counts = exists & (torch.rand(shape, generator=generator) < 0.7)
    counts[:, 0] = exists[:, 0]
    log_weights = torch.randn(shape, generator=generator, dtype=torch.float64)
    is_whole = torch.rand((batch, candidates), generator=generator) < 0.8
    is_item = is_whole & counts.gather(2, lengths[..., None] - 1)[..., 0]
    is_item[:, 0] = True
    other = -3 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.1
    return CandidateScores(
        log_probs.requires_grad_(),
        counts,
        log_weights if weighted else None,
        is_item if items else None,
        random_legal_logits(log_probs[:, 0].detach(), exists[:, 0], generator) if legal else None,
        other.where(exists, 0.0) if reference else None,
    )


def random_legal_logits(
    log_probs: Float[Tensor, "batch levels"],
    exists: Bool[Tensor, "batch levels"],
    generator: torch.Generator,
) -> LegalLogits:
    """1 to `MAX_LEGAL` legal tokens a step, the target's at a random place among them.

    Args:
        log_probs: Of the target's tokens, over a whole vocabulary.
        exists: False past a target's end.
        generator: Of everything random.
    """
    counts = torch.randint(1, MAX_LEGAL + 1, exists.shape, generator=generator)
    counts = counts.masked_fill(~exists, 0)
    parts: list[Float[Tensor, " legal"]] = []
    places = torch.zeros_like(counts)
    for row, level in exists.nonzero().tolist():
        count = int(counts[row, level])
        place = int(torch.randint(count, (), generator=generator))
        places[row, level] = sum(len(part) for part in parts) + place
        parts.append(_step(log_probs[row, level], count, place, generator))
    step = torch.arange(counts.numel()).repeat_interleave(counts.flatten())
    return LegalLogits(torch.cat(parts).requires_grad_(), step, counts, places)


def _step(
    log_prob: Float[Tensor, ""], count: int, place: int, generator: torch.Generator
) -> Float[Tensor, " legal"]:
    """Logits of one step: log-probabilities, of 0.9 of the mass at most, and a constant."""
    others = torch.randn(count - 1, generator=generator, dtype=log_prob.dtype).log_softmax(0)
    others = others + (0.9 * (1 - log_prob.exp())).log()
    shift = torch.randn((), generator=generator, dtype=log_prob.dtype)
    return torch.cat([others[:place], log_prob[None], others[place:]]) + shift


def without_row(scores: CandidateScores, row: int) -> CandidateScores:
    """The same scores without one target."""
    kept = torch.arange(len(scores.log_probs)) != row
    return CandidateScores(
        scores.log_probs[kept],
        scores.counts[kept],
        _taken(scores.log_weights, kept),
        _taken(scores.is_item, kept),
        None if scores.legal is None else _legal_of(scores.legal, kept),
        _taken(scores.reference_log_probs, kept),
    )


def padded(scores: CandidateScores, num_levels: int) -> CandidateScores:
    """The same scores with levels behind the others that nothing has."""
    parts = (scores.log_probs, scores.counts, scores.log_weights, scores.reference_log_probs)
    log_probs, counts, log_weights, reference = (
        None if part is None else pad(part, (0, num_levels)) for part in parts
    )
    assert log_probs is not None
    assert counts is not None
    legal = scores.legal
    if legal is not None:
        levels = legal.counts.shape[1]
        step = legal.step // levels * (levels + num_levels) + legal.step % levels
        sizes = (pad(part, (0, num_levels)) for part in (legal.counts, legal.target_place))
        legal = LegalLogits(legal.logits, step, *sizes)
    return CandidateScores(log_probs, counts, log_weights, scores.is_item, legal, reference)


def _taken(values: Tensor | None, kept: Tensor) -> Tensor | None:
    return None if values is None else values[kept]


def _legal_of(legal: LegalLogits, kept: Bool[Tensor, " batch"]) -> LegalLogits:
    levels = legal.counts.shape[1]
    is_kept = kept[legal.step // levels]
    new_row: Int64[Tensor, " batch"] = kept.cumsum(0) - 1
    step = legal.step[is_kept]
    step = new_row[step // levels] * levels + step % levels
    places = is_kept.cumsum(0)[legal.target_place[kept]] - 1
    counts = legal.counts[kept]
    return LegalLogits(legal.logits[is_kept], step, counts, places.masked_fill(counts == 0, 0))
