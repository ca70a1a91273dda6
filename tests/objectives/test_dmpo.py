"""DMPO by hand, and its limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.objectives.dmpo import dmpo_loss
from beamwise.objectives.dpo import dpo_loss


def test_golden() -> None:
    # r = (ln 2, 0, ln 4), beta = 2: the negatives' mean is ln 2, so the odds are 1.
    ratios = torch.tensor([[2.0, 1.0, 4.0]]).log()
    torch.testing.assert_close(dmpo_loss(ratios, beta=2.0), torch.tensor([math.log(2)]))
    # Of the first alone, beta = 2: odds (2 / 1)^2, so ln(1 + 1/4).
    counts = torch.tensor([[True, True, False]])
    torch.testing.assert_close(dmpo_loss(ratios, counts, beta=2.0), torch.tensor([math.log(5 / 4)]))
    # Weights 1 and 3: mean 3/4 ln 4 = 1.5 ln 2; odds 2^(1 - 1.5).
    log_weights = torch.tensor([[9.0, 1.0, 3.0]]).log()
    torch.testing.assert_close(
        dmpo_loss(ratios, None, log_weights, beta=1.0), torch.tensor([math.log1p(math.sqrt(2))])
    )


@given(seed=st.integers(0, 2**32 - 1), beta=st.floats(0.1, 3.0))
def test_one_negative_is_dpo(seed: int, beta: float) -> None:
    ratios = torch.randn(8, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(dmpo_loss(ratios, beta=beta), dpo_loss(ratios, beta=beta))


@given(seed=st.integers(0, 2**32 - 1))
def test_never_above_dpo(seed: int) -> None:  # softplus is convex
    ratios = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert (dmpo_loss(ratios, beta=1.0) <= dpo_loss(ratios, beta=1.0) + 1e-12).all()


def test_where_no_negative_counts_loss_and_gradient_are_zero() -> None:
    ratios = torch.tensor([[1.0, 1.0], [1.0, math.nan]], requires_grad=True)
    loss = dmpo_loss(ratios, torch.tensor([[True, True], [True, False]]), beta=1.0)
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.tensor([math.log(2), 0.0]))
    assert ratios.grad.tolist() == [[-0.5, 0.5], [0.0, 0.0]]


def test_extreme_ratios_stay_finite() -> None:
    ratios = torch.tensor([[-900.0, 900.0], [900.0, -900.0]], requires_grad=True)
    loss = dmpo_loss(ratios, beta=1.0)
    loss.sum().backward()
    assert loss.tolist() == [1800.0, 0.0]
    assert ratios.grad.tolist() == [[-1.0, 1.0], [0.0, 0.0]]


def test_without_negatives_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target and >= 1 negative, got 1 candidate"):
        dmpo_loss(torch.zeros(2, 1), beta=1.0)
