"""Random candidate scores, as a scorer could give them, for tests of objectives."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from beamwise.objectives.base import CandidateScores, LegalLogits, PrefixLevels

MAX_LEGAL = 6
"""Most legal tokens of a step."""
SHARE_FORCED = 0.6
"""Of the tokens of titles after the first, which always is."""


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
    titles: bool = False,
    vocabulary: bool = True,
    prefixes: bool = False,
) -> CandidateScores:
    """Scores in float64: paths of 1 to `levels` tokens, some prefixes that do not compete.

    The first row's paths all have `levels` tokens. `log_probs` and the legal logits are leaves that
    require a gradient. One seed gives the same `log_probs` and `counts` whatever else is asked for,
    but that `vocabulary=False` leaves out the `log_probs`.

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
        titles: Whether most of the targets' tokens are the only legal ones, the first always.
        vocabulary: Whether `log_probs` are given; without them forced tokens have logits of 0.
        prefixes: Whether the prefixes that end where paths part are given.
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
    num_legal = torch.randint(1, MAX_LEGAL + 1, exists[:, 0].shape, generator=generator)
    if titles:
        forced = torch.rand(num_legal.shape, generator=generator) < SHARE_FORCED
        forced[:, 0] = True
        num_legal = num_legal.clamp(min=2).masked_fill(forced, 1)
    num_legal = num_legal.masked_fill(~exists[:, 0], 0)
    given = None
    if legal:
        given = random_legal_logits(log_probs[:, 0].detach(), num_legal, generator)
        given = given if vocabulary else _without_forced(given)
    levels_of = _random_prefixes(num_legal, candidates, weighted, generator) if prefixes else None
    return CandidateScores(
        log_probs.requires_grad_() if vocabulary else None,
        counts,
        log_weights if weighted else None,
        is_item if items else None,
        given,
        other.where(exists, 0.0) if reference else None,
        levels_of,
    )


def random_legal_logits(
    log_probs: Float[Tensor, "batch levels"],
    counts: Int64[Tensor, "batch levels"],
    generator: torch.Generator,
) -> LegalLogits:
    """Legal tokens for every step, the target's at a random place among them.

    Args:
        log_probs: Of the target's tokens, over a whole vocabulary.
        counts: Legal tokens of each step; 0 past a target's end.
        generator: Of everything random.
    """
    parts: list[Float[Tensor, " legal"]] = []
    places = torch.zeros_like(counts)
    for row, level in counts.nonzero().tolist():
        count = int(counts[row, level])
        place = int(torch.randint(count, (), generator=generator))
        places[row, level] = sum(len(part) for part in parts) + place
        parts.append(_step(log_probs[row, level], count, place, generator))
    step = torch.arange(counts.numel()).repeat_interleave(counts.flatten())
    return LegalLogits(torch.cat(parts).requires_grad_(), step, counts, places)


def _without_forced(legal: LegalLogits) -> LegalLogits:
    """With logits of 0 where one token is legal, as without those of the vocabulary."""
    several = (legal.counts.flatten() > 1)[legal.step]
    logits = legal.logits.detach().where(several, 0.0).requires_grad_()
    return LegalLogits(logits, legal.step, legal.counts, legal.target_place)


def _random_prefixes(
    num_legal: Int64[Tensor, "batch levels"],
    candidates: int,
    weighted: bool,
    generator: torch.Generator,
) -> PrefixLevels:
    """The targets' prefixes that end where several tokens are legal; others compete at random."""
    ends = []
    for row in num_legal.tolist():
        several = [place for place, count in enumerate(row) if count > 1]
        ends.append([*several[1:], sum(count > 0 for count in row)])
    width = max(len(row) for row in ends)
    lengths = torch.tensor([row + [0] * (width - len(row)) for row in ends])
    shape = (len(ends), candidates, width)
    counts = (lengths > 0)[:, None] & (torch.rand(shape, generator=generator) < 0.7)
    counts[:, 0] = lengths > 0
    log_weights = torch.randn(shape, generator=generator, dtype=torch.float64)
    return PrefixLevels(lengths, counts, log_weights if weighted else None)


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
    kept = torch.arange(len(scores.counts)) != row
    prefixes = scores.prefixes
    if prefixes is not None:
        weights = _taken(prefixes.log_weights, kept)
        prefixes = PrefixLevels(prefixes.lengths[kept], prefixes.counts[kept], weights)
    return CandidateScores(
        _taken(scores.log_probs, kept),
        scores.counts[kept],
        _taken(scores.log_weights, kept),
        _taken(scores.is_item, kept),
        None if scores.legal is None else _legal_of(scores.legal, kept),
        _taken(scores.reference_log_probs, kept),
        prefixes,
    )


def padded(scores: CandidateScores, num_levels: int) -> CandidateScores:
    """The same scores with levels behind the others that nothing has."""
    parts = (scores.log_probs, scores.counts, scores.log_weights, scores.reference_log_probs)
    log_probs, counts, log_weights, reference = (
        None if part is None else pad(part, (0, num_levels)) for part in parts
    )
    assert counts is not None
    legal = scores.legal
    if legal is not None:
        levels = legal.counts.shape[1]
        step = legal.step // levels * (levels + num_levels) + legal.step % levels
        sizes = (pad(part, (0, num_levels)) for part in (legal.counts, legal.target_place))
        legal = LegalLogits(legal.logits, step, *sizes)
    return replace(
        scores,
        log_probs=log_probs,
        counts=counts,
        log_weights=log_weights,
        legal=legal,
        reference_log_probs=reference,
    )


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
