"""The legal softmax by value and gradient."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from beamwise.objectives import OBJECTIVES, CandidateScores
from beamwise.objectives.base import LegalLogits
from beamwise.objectives.masked_softmax import (
    MaskedSoftmax,
    MaskedSoftmaxConfig,
    legal_log_probs,
    legal_logits_of,
)
from beamwise.testing.legal_steps import legal_scores, steps_of
from beamwise.testing.random_scores import random_scores


def naive_losses(legal: LegalLogits) -> torch.Tensor:
    """-log softmax of the target's token, one step at a time."""
    losses = torch.zeros(legal.counts.shape, dtype=torch.float64)
    for step in steps_of(legal):
        total = sum(torch.exp(logit) for logit in step.logits)
        losses[step.row, step.level] = -torch.log(torch.exp(step.logits[step.own]) / total)
    return losses


@given(seed=st.integers(0, 2**32 - 1), branching=st.booleans())
@settings(max_examples=20)
def test_loss_is_the_naive_mean(seed: int, branching: bool) -> None:
    scores = random_scores(seed, legal=True)
    legal = legal_logits_of(scores)
    config = MaskedSoftmaxConfig(average="branching" if branching else "tokens", ce_weight=0.5)
    loss, metrics = MaskedSoftmax(config).double()(scores)
    counted = (legal.counts > (1 if branching else 0)).sum(1).clamp(min=1)
    own = naive_losses(legal).sum(1) / counted
    exists = legal.counts > 0
    token_loss = -(scores.log_probs[:, 0] * exists).sum(1) / exists.sum(1)
    naive = own + 0.5 * token_loss
    torch.testing.assert_close(loss, naive)
    torch.testing.assert_close(metrics["own_loss"], own.detach().mean())
    inputs = (scores.log_probs, legal.logits)
    factors = torch.arange(1.0, 6.0, dtype=torch.float64)
    gradients = torch.autograd.grad((loss * factors).sum(), inputs)
    expected = torch.autograd.grad((naive * factors).sum(), inputs)
    torch.testing.assert_close(gradients, expected)


def test_golden() -> None:
    # p = 1/2, then the only token: log 2 / 2, or log 2 over branching tokens. Then 1/4 alone.
    scores = legal_scores([[[3.0, 3.0], [7.0]], [[1.0] * 4]])
    for average, first in (("tokens", math.log(2) / 2), ("branching", math.log(2))):
        loss, _ = MaskedSoftmax(MaskedSoftmaxConfig.model_validate({"average": average}))(scores)
        assert loss.tolist() == pytest.approx([first, math.log(4)])


def test_a_forced_token_is_certain_and_has_no_gradient() -> None:
    scores = legal_scores([[[731.3], [2.0, 1.0]], [[-4.0], [-900.0]]])
    legal = legal_logits_of(scores)
    log_probs = legal_log_probs(legal)
    assert log_probs[:, 0].tolist() == [0, 0]
    log_probs.sum().backward()
    assert legal.logits.grad is not None
    assert legal.logits.grad[[0, 3, 4]].tolist() == [0, 0, 0]
    config = MaskedSoftmaxConfig(average="branching")
    assert MaskedSoftmax(config)(scores)[0][1].tolist() == 0  # nothing to choose: no loss, no NaN


def test_no_nan_on_the_way_back(make_scores) -> None:
    scores = make_scores(seed=4, legal=True)
    with torch.autograd.set_detect_anomaly(True):
        MaskedSoftmax(MaskedSoftmaxConfig())(scores)[0].sum().backward()
    gradient = legal_logits_of(scores).logits.grad
    assert gradient is not None
    assert gradient.isfinite().all()


def test_extreme_logits_stay_finite() -> None:
    scores = legal_scores([[[-1000.0, 1000.0]]])
    loss, _ = MaskedSoftmax(MaskedSoftmaxConfig())(scores)
    assert loss.tolist() == [2000.0]


def test_without_legal_logits_is_refused(make_scores) -> None:
    with pytest.raises(ValueError, match=r"need the legal tokens' logits.*legal_logits=True"):
        OBJECTIVES["msl"](MaskedSoftmaxConfig())(make_scores())


def test_what_it_asks_of_the_scorer() -> None:
    fixed = MaskedSoftmax(MaskedSoftmaxConfig(temperature=4.5)).needs
    assert (fixed.temperature, fixed.legal_logits, fixed.micro_batches) == (4.5, True, False)
    adaptive = MaskedSoftmax(MaskedSoftmaxConfig(adaptive_temperature=True)).needs
    assert (adaptive.temperature, adaptive.micro_batches) == (1.0, True)
    assert not adaptive.whole_micro_batches


def test_adaptive_temperature_divides_the_logits_and_multiplies_the_loss() -> None:
    scores = legal_scores([[[6.0, 2.0, 0.0, 1.0], [3.0, 1.0]]])
    config = MaskedSoftmaxConfig(
        adaptive_temperature=True,
        initial_temperature=2.0,
        lowest_temperature=3.0,
        highest_temperature=3.0,
        smoothing=0.5,
        eta=1.0,
    )
    objective = MaskedSoftmax(config)
    for temperature in (2.0, 2.5, 2.75):  # half the way to 3 with every micro-batch
        loss, metrics = objective(scores)
        cooled = legal_scores(
            [[[x / temperature for x in (6, 2, 0, 1)], [3 / temperature, 1 / temperature]]]
        )
        expected = temperature * naive_losses(legal_logits_of(cooled)).mean()
        torch.testing.assert_close(loss, expected.detach()[None])
        assert float(metrics["temperature"]) == temperature
    loss.sum().backward()
    for _ in range(2):  # parts of one micro-batch
        objective.begin_update(micro_batch=False, step=True)
        assert float(objective(scores)[1]["temperature"]) == 2.75
    assert "adaptive.temperature" in objective.state_dict()


def test_two_temperatures_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"temperature=2.0 and adaptive_temperature exclude"):
        MaskedSoftmaxConfig(adaptive_temperature=True, temperature=2.0)
    with pytest.raises(ValidationError, match=r"lowest_temperature=9.0 must be at most highest_"):
        MaskedSoftmaxConfig(lowest_temperature=9.0)


def test_legal_probabilities_of_all_prefixes_sum_to_one() -> None:
    # One root with two children of two: the four leaves' paths, scored one after the other.
    logits = {"root": [0.3, -1.0], "a": [2.0, 1.0], "b": [0.0, 5.0]}
    rows = []
    for child, below in ((0, "a"), (1, "b")):
        for leaf in (0, 1):
            root, last = logits["root"], logits[below]
            rows.append([[root[child], root[1 - child]], [last[leaf], last[1 - leaf]]])
    scores: CandidateScores = legal_scores(rows)
    paths = legal_log_probs(legal_logits_of(scores)).sum(1)
    assert float(paths.detach().exp().sum()) == pytest.approx(1)
