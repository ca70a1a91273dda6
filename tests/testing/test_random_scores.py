"""Random scores keep what `CandidateScores` and `LegalLogits` promise."""

from __future__ import annotations

import pytest
import torch

from beamwise.testing.random_scores import MAX_LEGAL, padded, random_scores, without_row

EVERYTHING = {"weighted": True, "items": True, "legal": True, "reference": True}


@pytest.mark.parametrize("seed", range(5))
def test_they_agree_with_each_other(seed: int) -> None:
    scores = random_scores(seed, batch=6, levels=4, **EVERYTHING)
    exists = scores.log_probs != 0
    assert exists[0].all()
    assert not (scores.counts & ~exists).any()
    assert torch.equal(scores.counts[:, 0], exists[:, 0])
    assert torch.equal(scores.reference_log_probs != 0, exists)
    # A whole item that differs from those before competes at its own length.
    lengths = exists.sum(2, keepdim=True)
    last = scores.counts.gather(2, lengths - 1)[..., 0]
    assert scores.is_item[:, 0].all()
    assert (last | ~scores.is_item).all()


@pytest.mark.parametrize("seed", range(5))
def test_legal_logits_agree_with_the_targets_log_probs(seed: int) -> None:
    scores = random_scores(seed, batch=6, levels=4, legal=True)
    legal = scores.legal
    exists = scores.counts[:, 0]
    assert torch.equal(legal.counts > 0, exists)
    start = 0
    for row, level in torch.cartesian_prod(torch.arange(6), torch.arange(4)).tolist():
        count, place = int(legal.counts[row, level]), int(legal.target_place[row, level])
        stop = start + count
        if count == 0:
            assert place == 0
            continue
        assert (legal.step[start:stop] == row * 4 + level).all()
        assert start <= place < stop
        # log p = logit - log Z, and the legal tokens have a part of Z, the whole mass.
        log_normalizer = legal.logits[place] - scores.log_probs[row, 0, level]
        assert legal.logits[start:stop].logsumexp(0) < log_normalizer
        start = stop
    assert start == len(legal.logits) == len(legal.step)


def test_steps_have_one_to_many_legal_tokens() -> None:
    counts = random_scores(0, batch=40, legal=True).legal.counts
    assert set(counts.unique().tolist()) == set(range(MAX_LEGAL + 1))


def test_what_else_is_asked_for_changes_nothing() -> None:
    plain, full = random_scores(3), random_scores(3, **EVERYTHING)
    assert torch.equal(plain.log_probs, full.log_probs)
    assert torch.equal(plain.counts, full.counts)
    assert plain.log_weights is plain.is_item is plain.legal is plain.reference_log_probs is None
    assert full.log_probs.is_leaf
    assert full.legal.logits.is_leaf
    assert full.log_probs.requires_grad
    assert full.legal.logits.requires_grad


def test_without_a_row_and_padded_keep_every_other_value() -> None:
    scores = random_scores(1, batch=4, **EVERYTHING)
    fewer = without_row(scores, 1)
    wider = padded(scores, 2)
    kept = [0, 2, 3]
    for name in ("log_probs", "counts", "log_weights", "is_item", "reference_log_probs"):
        assert torch.equal(getattr(fewer, name), getattr(scores, name)[kept])
    assert not wider.counts[..., 3:].any()
    assert torch.equal(wider.log_probs[..., :3], scores.log_probs)
    for row, level in torch.cartesian_prod(torch.arange(3), torch.arange(3)).tolist():
        for other, step in ((fewer, row * 3 + level), (wider, kept[row] * 5 + level)):
            theirs = scores.legal.logits[scores.legal.step == kept[row] * 3 + level]
            assert torch.equal(other.legal.logits[other.legal.step == step], theirs)
        places = fewer.legal.target_place[row, level], scores.legal.target_place[kept[row], level]
        if fewer.legal.counts[row, level]:
            assert fewer.legal.logits[places[0]] == scores.legal.logits[places[1]]
