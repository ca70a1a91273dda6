import pytest
import torch

from beamwise.objectives.level_scores import level_scores, prefix_levels_of, sums_between
from beamwise.testing.random_scores import random_scores


def test_sums_golden():
    # Prefixes of 2 and 5 tokens; one of 3, and no second. Tokens behind the last are no level's.
    log_probs = torch.tensor([[[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]], [[1.0, 2.0, 4.0, 0.0, 0.0, 0.0]]])
    lengths = torch.tensor([[2, 5], [3, 0]])
    assert sums_between(log_probs, lengths).tolist() == [[[3.0, 28.0]], [[7.0, 0.0]]]


def test_sums_have_the_gradient_of_a_loop():
    scores = random_scores(3, levels=8, titles=True, prefixes=True)
    lengths = scores.prefixes.lengths
    ours = sums_between(scores.log_probs, lengths)
    naive = torch.zeros_like(ours)
    for row, ends in enumerate(lengths.tolist()):
        for level, end in enumerate(ends):
            begin = ends[level - 1] if level else 0
            naive[row, :, level] = scores.log_probs[row, :, begin:end].sum(1) if end else 0.0
    torch.testing.assert_close(ours, naive)
    factors = torch.linspace(-1, 2, ours.numel(), dtype=torch.float64).view(ours.shape)
    gradients = [
        torch.autograd.grad((sums * factors).sum(), scores.log_probs)[0] for sums in (ours, naive)
    ]
    torch.testing.assert_close(*gradients)


def test_levels_are_tokens_or_prefixes_and_the_first_of_them():
    scores = random_scores(5, levels=8, titles=True, prefixes=True, weighted=True)
    tokens = level_scores(scores, "tokens", 3)
    assert torch.equal(tokens.log_probs, scores.log_probs[..., :3])
    assert torch.equal(tokens.counts, scores.counts[..., :3])
    assert torch.equal(tokens.log_weights, scores.log_weights[..., :3])
    assert tokens.lengths.tolist() == [[1, 2, 3]]
    prefixes = level_scores(scores, "branching", 2)
    assert torch.equal(prefixes.counts, scores.prefixes.counts[..., :2])
    assert torch.equal(prefixes.log_weights, scores.prefixes.log_weights[..., :2])
    assert torch.equal(prefixes.lengths, scores.prefixes.lengths[:, :2])
    assert level_scores(scores, "tokens").log_probs is scores.log_probs or torch.equal(
        level_scores(scores, "tokens").log_probs, scores.log_probs
    )


def test_what_was_not_asked_for_is_missed_in_one_line():
    with pytest.raises(ValueError, match="score with branching_levels=True"):
        prefix_levels_of(random_scores())
    with pytest.raises(ValueError, match="score with vocabulary=True"):
        level_scores(random_scores(vocabulary=False, legal=True), "tokens")
