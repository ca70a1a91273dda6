"""DPO by hand, and its limits."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from beamwise.objectives.dpo import dpo_loss


def test_golden() -> None:
    # r = (ln 2, 0, ln 4), beta = 1: sigmoid(ln 2) = 2/3 and sigmoid(-ln 2) = 1/3.
    ratios = torch.tensor([[2.0, 1.0, 4.0]]).log()
    expected = (math.log(3 / 2) + math.log(3)) / 2
    torch.testing.assert_close(dpo_loss(ratios, beta=1.0), torch.tensor([expected]))
    # beta = 2 squares the odds: 4/5 and 1/5. Of the first alone: ln 5/4.
    counts = torch.tensor([[True, True, False]])
    torch.testing.assert_close(dpo_loss(ratios, counts, beta=2.0), torch.tensor([math.log(5 / 4)]))
    # Weights 1 and 3 make (ln 3/2 + 3 ln 3) / 4.
    log_weights = torch.tensor([[9.0, 1.0, 3.0]]).log()
    expected = (math.log(3 / 2) + 3 * math.log(3)) / 4
    torch.testing.assert_close(
        dpo_loss(ratios, None, log_weights, beta=1.0), torch.tensor([expected])
    )


def test_one_negative_is_the_papers() -> None:
    ratios = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = -logsigmoid(0.5 * (ratios[:, 0] - ratios[:, 1]))
    torch.testing.assert_close(dpo_loss(ratios, beta=0.5), expected)


def test_equal_weights_change_nothing() -> None:
    ratios = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_weights = torch.full((4, 5), 3.7)
    torch.testing.assert_close(
        dpo_loss(ratios, None, log_weights, beta=1.0), dpo_loss(ratios, beta=1.0)
    )


def test_where_no_negative_counts_loss_and_gradient_are_zero() -> None:
    ratios = torch.tensor([[1.0, 2.0], [1.0, math.nan]], requires_grad=True)
    loss = dpo_loss(ratios, torch.tensor([[True, True], [True, False]]), beta=1.0)
    loss.sum().backward()
    pull = 1 / (1 + math.exp(-1))
    torch.testing.assert_close(loss, torch.tensor([1 + math.log1p(math.exp(-1)), 0.0]))
    torch.testing.assert_close(ratios.grad, torch.tensor([[-pull, pull], [0.0, 0.0]]))


def test_extreme_ratios_stay_finite() -> None:
    ratios = torch.tensor([[-900.0, 900.0], [900.0, -900.0]], requires_grad=True)
    loss = dpo_loss(ratios, beta=1.0)
    loss.sum().backward()
    assert loss.tolist() == [1800.0, 0.0]
    assert ratios.grad.tolist() == [[-1.0, 1.0], [0.0, 0.0]]


def test_without_negatives_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target and >= 1 negative, got 1 candidate"):
        dpo_loss(torch.zeros(2, 1), beta=1.0)
