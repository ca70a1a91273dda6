"""Legal logits written by hand, and read back."""

from __future__ import annotations

import math

import torch

from beamwise.testing.legal_steps import legal_scores, steps_of
from beamwise.testing.random_scores import random_scores


def test_golden() -> None:
    scores = legal_scores([[[1.0], [2.0, 2.0]], [[3.0, 3.0, 3.0]]])
    legal = scores.legal
    assert legal is not None
    assert legal.logits.tolist() == [1, 2, 2, 3, 3, 3]
    assert legal.step.tolist() == [0, 1, 1, 2, 2, 2]
    assert legal.counts.tolist() == [[1, 2], [3, 0]]
    assert legal.target_place.tolist() == [[0, 1], [3, 0]]
    assert scores.counts.tolist() == [[[True, True]], [[True, False]]]
    expected = torch.tensor([[[0.0, -math.log(2)]], [[-math.log(3), 0.0]]], dtype=torch.float64)
    torch.testing.assert_close(scores.log_probs, expected)


def test_steps_are_those_of_any_legal_logits() -> None:
    legal = random_scores(seed=1, legal=True).legal
    assert legal is not None
    steps = steps_of(legal)
    assert torch.equal(torch.cat([step.logits for step in steps]), legal.logits)
    for step in steps:
        place = legal.target_place[step.row, step.level]
        assert step.logits[step.own] == legal.logits[place]
        assert len(step.logits) == legal.counts[step.row, step.level]
        assert step.row * 3 + step.level == legal.step[place]
    assert len(steps) == int((legal.counts > 0).sum())
