"""Cross-entropy by value and gradient."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from beamwise.config import changed_config, read_config, write_config
from beamwise.objectives import OBJECTIVES, CandidateScores
from beamwise.objectives.cross_entropy import CrossEntropyConfig, cross_entropy, mean_one


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


def test_weighted_golden() -> None:
    # p = (1/2, 1/8) with weights 1/2 and 3/2: (ln 2 / 2 + 3/2 * 3 ln 2) / 2 = 2.5 ln 2.
    # One token of p = 1/4: 1/2 * 2 ln 2.
    log_probs = torch.tensor([[0.5, 0.125], [0.25, 0.9]]).log()
    counts = torch.tensor([[[True, True]], [[True, False]]])
    expected = torch.tensor([2.5 * math.log(2), math.log(2)])
    weights = torch.tensor([0.5, 1.5])
    torch.testing.assert_close(cross_entropy(log_probs, counts[:, 0], weights), expected)
    objective = OBJECTIVES["ce"](CrossEntropyConfig(level_weights=(1.0, 3.0)))
    scores = CandidateScores(log_probs[:, None].requires_grad_(), counts)
    loss, metrics = objective(scores)
    torch.testing.assert_close(loss, expected)
    loss.sum().backward()
    gradient = torch.tensor([[[-0.25, -0.75]], [[-0.5, 0.0]]])
    torch.testing.assert_close(scores.log_probs.grad, gradient)
    # Logged without weights, so that runs compare: (2 + 2) / 2, (1 + 2) / 2 and 3, times ln 2.
    shown = {name: float(value) / math.log(2) for name, value in metrics.items()}
    assert shown == pytest.approx({"cross_entropy": 2.0, "token_loss_1": 1.5, "token_loss_2": 3.0})


def test_equal_weights_are_none(make_scores) -> None:
    scores = make_scores(seed=4)
    plain = OBJECTIVES["ce"](CrossEntropyConfig())
    equal = OBJECTIVES["ce"](CrossEntropyConfig(level_weights=(7.0, 7.0, 7.0)))
    torch.testing.assert_close(equal(scores)[0], plain(scores)[0])
    assert dict(equal.state_dict()) == {}  # a checkpoint of one fits the other


def test_weights_of_mean_one() -> None:
    assert mean_one([1.0, 3.0]) == (0.5, 1.5)
    assert mean_one([0.0, 0.0, 6.0]) == (0.0, 0.0, 3.0)


@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (2.0, -1.0)])
def test_weights_of_nothing_or_below_zero_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="weights must be >= 0, one of them above 0, got"):
        mean_one(weights)
    with pytest.raises(ValidationError):
        CrossEntropyConfig(level_weights=weights)


def test_weights_must_be_one_a_level() -> None:
    objective = OBJECTIVES["ce"](CrossEntropyConfig(level_weights=(1.0, 2.0)))
    objective.check(2)
    with pytest.raises(ValueError, match="holds 2 weights and items have 3 levels: give one a"):
        objective.check(3)
    OBJECTIVES["ce"](CrossEntropyConfig()).check(3)


def test_weights_survive_yaml_and_overrides(tmp_path) -> None:
    config = changed_config(CrossEntropyConfig(), None, ["level_weights=[2, 1, 0.5]"])
    assert config.level_weights == (2.0, 1.0, 0.5)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(CrossEntropyConfig, tmp_path / "config.yaml") == config
