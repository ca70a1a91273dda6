"""Cross-entropy by value and gradient."""

from __future__ import annotations

import math

import torch

from beamwise.objectives import OBJECTIVES, CandidateScores
from beamwise.objectives.cross_entropy import CrossEntropyConfig, cross_entropy


def test_golden() -> None:
    # p = (1/2, 1/8): (ln 2 + 3 ln 2) / 2 = 2 ln 2. One token of p = 1/4: ln 4, the rest is padding.
    log_probs = torch.tensor([[0.5, 0.125], [0.25, 0.9]]).log()
    exists = torch.tensor([[True, True], [True, False]])
    torch.testing.assert_close(
        cross_entropy(log_probs, exists), torch.tensor([math.log(4), math.log(4)])
    )


def test_gradient_is_one_over_length_on_existing_tokens_of_the_target(make_scores) -> None:
    scores = make_scores()
    loss, metrics = OBJECTIVES["ce"](CrossEntropyConfig())(scores)
    loss.sum().backward()
    exists = scores.counts[:, 0]
    expected = torch.zeros_like(scores.log_probs)
    expected[:, 0] = torch.where(exists, -1.0 / exists.sum(1, keepdim=True), 0.0).double()
    torch.testing.assert_close(scores.log_probs.grad, expected)
    torch.testing.assert_close(metrics["cross_entropy"], loss.detach().mean())


def test_value_is_the_naive_mean(make_scores) -> None:
    scores = make_scores(seed=3, batch=6)
    loss, _ = OBJECTIVES["ce"](CrossEntropyConfig())(scores)
    log_probs = scores.log_probs.tolist()
    for row in range(6):
        length = int(scores.counts[row, 0].sum())
        naive = -sum(log_probs[row][0][t] for t in range(length)) / length
        assert math.isclose(loss[row].item(), naive, rel_tol=1e-12)


def test_target_alone_is_enough() -> None:
    scores = CandidateScores(torch.full((2, 1, 4), -1.5), torch.ones(2, 1, 4, dtype=torch.bool))
    loss, _ = OBJECTIVES["ce"](CrossEntropyConfig())(scores)
    torch.testing.assert_close(loss, torch.tensor([1.5, 1.5]))
