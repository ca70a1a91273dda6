"""The weighted sum of cross-entropy and another loss."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from beamwise.objectives import CandidateScores
from beamwise.objectives.one_stage import OneStageConfig, one_stage_loss


def scores() -> CandidateScores:
    """Cross-entropies (1 + 3) / 2 and 4."""
    counts = torch.tensor([[[True, True]], [[True, False]]])
    log_probs = torch.tensor([[[-1.0, -3.0]], [[-4.0, 0.0]]], requires_grad=True)
    return CandidateScores(log_probs, counts)


def test_golden() -> None:  # 0.5 * (2, 4) + 3 * (10, 20)
    own = torch.tensor([10.0, 20.0], requires_grad=True)
    loss, metrics = one_stage_loss(scores(), own, OneStageConfig(ce_weight=0.5, weight=3.0))
    assert loss.tolist() == [31.0, 62.0]
    assert {name: float(value) for name, value in metrics.items()} == {
        "cross_entropy": 3.0,
        "own_loss": 15.0,
    }
    (gradient,) = torch.autograd.grad(loss.sum(), own)
    assert gradient.tolist() == [3.0, 3.0]


def test_without_weight_cross_entropy_is_logged_and_not_trained_on() -> None:
    some = scores()
    own = torch.tensor([10.0, 20.0], requires_grad=True)
    loss, metrics = one_stage_loss(some, own, OneStageConfig())
    assert loss.tolist() == [10.0, 20.0]
    assert float(metrics["cross_entropy"]) == 3.0
    (gradient,) = torch.autograd.grad(loss.sum(), some.log_probs, allow_unused=True)
    assert gradient is None


@pytest.mark.parametrize("settings", [{"weight": 0}, {"ce_weight": -0.1}])
def test_weights_that_train_on_nothing_or_against_it_are_refused(settings: dict) -> None:
    with pytest.raises(ValidationError):
        OneStageConfig.model_validate(settings)


def test_without_log_probs_there_is_no_cross_entropy_to_log_or_train_on() -> None:
    some = CandidateScores(None, scores().counts)
    own = torch.tensor([10.0, 20.0])
    loss, metrics = one_stage_loss(some, own, OneStageConfig())
    assert loss.tolist() == [10.0, 20.0]
    assert metrics.keys() == {"own_loss"}
    with pytest.raises(ValueError, match="score with vocabulary=True"):
        one_stage_loss(some, own, OneStageConfig(ce_weight=0.5))
