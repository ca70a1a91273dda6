"""Labels smoothed over legal siblings, by value and gradient."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from beamwise.objectives.masked_softmax import (
    MaskedSoftmax,
    MaskedSoftmaxConfig,
    legal_log_probs,
    legal_logits_of,
)
from beamwise.objectives.smoothed_softmax import (
    SmoothedSoftmax,
    SmoothedSoftmaxConfig,
    smoothed_log_probs,
)
from beamwise.testing.legal_steps import legal_scores, steps_of
from beamwise.testing.random_scores import random_scores


@given(seed=st.integers(0, 2**32 - 1), smoothing=st.floats(0.01, 0.9))
@settings(max_examples=20)
def test_loss_is_cross_entropy_to_smoothed_labels(seed: int, smoothing: float) -> None:
    scores = random_scores(seed, legal=True)
    legal = legal_logits_of(scores)
    loss, _ = SmoothedSoftmax(SmoothedSoftmaxConfig(smoothing=smoothing)).double()(scores)
    naive = torch.zeros(5, dtype=torch.float64)
    for step in steps_of(legal):
        label = torch.full_like(step.logits, smoothing / len(step.logits))
        label[step.own] += 1 - smoothing
        length = (legal.counts[step.row] > 0).sum()
        naive[step.row] -= (label * step.logits.log_softmax(0)).sum() / length
    torch.testing.assert_close(loss, naive)
    factors = torch.arange(1.0, 6.0, dtype=torch.float64)
    gradients = [torch.autograd.grad((x * factors).sum(), legal.logits) for x in (loss, naive)]
    torch.testing.assert_close(*gradients)


def test_golden() -> None:
    # p = (1/4, 3/4): -(7/8 log 1/4 + 1/8 log 3/4) with smoothing 1/4.
    scores = legal_scores([[[0.0, math.log(3)]]])
    found = smoothed_log_probs(legal_logits_of(scores), smoothing=0.25)
    expected = 7 / 8 * math.log(1 / 4) + 1 / 8 * math.log(3 / 4)
    assert found.tolist() == [[pytest.approx(expected)]]


def test_without_smoothing_it_is_the_legal_softmax() -> None:
    scores = random_scores(seed=1, legal=True)
    loss, _ = SmoothedSoftmax(SmoothedSoftmaxConfig(smoothing=0))(scores)
    torch.testing.assert_close(loss, MaskedSoftmax(MaskedSoftmaxConfig())(scores)[0])
    legal = legal_logits_of(scores)
    near = smoothed_log_probs(legal, smoothing=1e-9)
    torch.testing.assert_close(near, legal_log_probs(legal), atol=1e-7, rtol=0)


def test_the_optimum_is_the_smoothed_label() -> None:
    # The gradient vanishes where p = (1 - 0.2) [target] + 0.2 / 4.
    p = [0.85, 0.05, 0.05, 0.05]
    scores = legal_scores([[[math.log(x) for x in p]]])
    loss, _ = SmoothedSoftmax(SmoothedSoftmaxConfig(smoothing=0.2))(scores)
    (gradient,) = torch.autograd.grad(loss.sum(), legal_logits_of(scores).logits)
    torch.testing.assert_close(gradient, torch.zeros(4, dtype=torch.float64))


def test_forced_tokens_and_ends_have_no_loss() -> None:
    scores = legal_scores([[[3.0], [-2.0]], [[800.0]]])
    with torch.autograd.set_detect_anomaly(True):
        loss, _ = SmoothedSoftmax(SmoothedSoftmaxConfig())(scores)
        loss.sum().backward()
    assert loss.tolist() == [0, 0]


def test_cross_entropy_is_added_in_one_stage() -> None:
    scores = random_scores(seed=2, legal=True)
    config = SmoothedSoftmaxConfig(smoothing=0.3, weight=2.0, ce_weight=0.5)
    loss, metrics = SmoothedSoftmax(config)(scores)
    expected = 2 * metrics["own_loss"] + 0.5 * metrics["cross_entropy"]
    torch.testing.assert_close(loss.detach().mean(), expected)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_shares_out_of_range_are_refused(smoothing: float) -> None:
    with pytest.raises(ValidationError):
        SmoothedSoftmaxConfig(smoothing=smoothing)


def test_a_mean_over_choices_leaves_out_forced_tokens() -> None:
    rows = [[[5.0], [0.0, math.log(3)], [1.0]]]
    losses = [
        SmoothedSoftmax(SmoothedSoftmaxConfig(average=average))(legal_scores(rows))[0]
        for average in ("tokens", "branching")
    ]
    torch.testing.assert_close(3 * losses[0], losses[1])
