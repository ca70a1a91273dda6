"""S-DPO by hand, and its limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.objectives.dpo import dpo_loss
from beamwise.objectives.softmax_dpo import softmax_dpo_loss


def test_golden() -> None:  # r = (0, ln 2, ln 4), beta = 1: sum of exp is 6, so the loss is ln 7.
    ratios = torch.tensor([[0.0, math.log(2), math.log(4)]])
    torch.testing.assert_close(softmax_dpo_loss(ratios, beta=1.0), torch.tensor([math.log(7)]))
    # beta = 2: 4 + 16. The last alone: ln(1 + 4). Weights 3 and 1/2: 6 + 2.
    torch.testing.assert_close(softmax_dpo_loss(ratios, beta=2.0), torch.tensor([math.log(21)]))
    counts = torch.tensor([[True, False, True]])
    torch.testing.assert_close(
        softmax_dpo_loss(ratios, counts, beta=1.0), torch.tensor([math.log(5)])
    )
    log_weights = torch.tensor([[9.0, 3.0, 0.5]]).log()
    torch.testing.assert_close(
        softmax_dpo_loss(ratios, None, log_weights, beta=1.0), torch.tensor([math.log(9)])
    )


@given(seed=st.integers(0, 2**32 - 1), beta=st.floats(0.1, 3.0))
def test_one_negative_is_dpo(seed: int, beta: float) -> None:
    ratios = torch.randn(8, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(softmax_dpo_loss(ratios, beta=beta), dpo_loss(ratios, beta=beta))


@given(seed=st.integers(0, 2**32 - 1), num_repeats=st.integers(1, 5))
def test_weights_stand_for_repeated_negatives(seed: int, num_repeats: int) -> None:
    ratios = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    repeated = torch.cat([ratios, *[ratios[:, 1:2]] * (num_repeats - 1)], 1)
    log_weights = torch.tensor([1.0, num_repeats, 1.0], dtype=torch.float64).log().expand(4, 3)
    torch.testing.assert_close(
        softmax_dpo_loss(ratios, None, log_weights, beta=0.5), softmax_dpo_loss(repeated, beta=0.5)
    )


def test_where_no_negative_counts_loss_and_gradient_are_zero() -> None:
    ratios = torch.tensor([[1.0, 1.0], [1.0, math.nan]], requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        loss = softmax_dpo_loss(ratios, torch.tensor([[True, True], [True, False]]), beta=1.0)
        loss.sum().backward()
    torch.testing.assert_close(loss, torch.tensor([math.log(2), 0.0]))
    assert ratios.grad.tolist() == [[-0.5, 0.5], [0.0, 0.0]]


def test_extreme_ratios_stay_finite() -> None:
    ratios = torch.tensor([[-900.0, 900.0, 0.0], [900.0, -900.0, 0.0]], requires_grad=True)
    loss = softmax_dpo_loss(ratios, beta=1.0)
    loss.sum().backward()
    assert loss.tolist() == [1800.0, 0.0]
    assert ratios.grad.tolist() == [[-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_without_negatives_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target and >= 1 negative, got 1 candidate"):
        softmax_dpo_loss(torch.zeros(2, 1), beta=1.0)
