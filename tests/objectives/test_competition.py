"""What the log-odds of competition are where prefixes are few, weighted or absent."""

from __future__ import annotations

import math

import pytest
import torch

from beamwise.objectives.competition import (
    check_negatives,
    competition_log_odds,
    log_sum_of_counting,
)


def test_golden() -> None:
    # Prefix probabilities: target 1/2 then 1/8; negatives 1/4 then 1/4, and 1/4 then 1/8.
    # e^phi: (1/4 + 1/4) / (1/2) = 1, and (1/4 + 1/8) / (1/8) = 3; with weight 2 of the first, 5.
    log_probs = torch.tensor([[[1 / 2, 1 / 4], [1 / 4, 1.0], [1 / 4, 1 / 2]]]).log()
    counts = torch.ones(1, 3, 2, dtype=torch.bool)
    torch.testing.assert_close(
        competition_log_odds(log_probs, counts), torch.tensor([[1.0, 3.0]]).log()
    )
    log_weights = torch.tensor([[[9.0, 9.0], [1.0, 2.0], [1.0, 1.0]]]).log()
    torch.testing.assert_close(
        competition_log_odds(log_probs, counts, log_weights), torch.tensor([[1.0, 5.0]]).log()
    )
    # At temperature 1/2 ratios are squared: 2 (1/2)^2 = 1/2, and 2^2 + 1 = 5.
    torch.testing.assert_close(
        competition_log_odds(log_probs, counts, temperature=0.5), torch.tensor([[0.5, 5.0]]).log()
    )


def test_nothing_competes_past_the_targets_end() -> None:
    log_probs = torch.full((1, 2, 2), -1.0)
    counts = torch.tensor([[[True, False], [True, True]]])
    assert competition_log_odds(log_probs, counts).tolist() == [[0.0, -math.inf]]


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4)])
def test_sums_run_over_what_counts(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    terms = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    counts = torch.rand(shape, generator=generator) < 0.6
    counts[0, :] = False
    counts[1, 0] = True
    result = log_sum_of_counting(terms, counts)
    naive = (terms[1].exp() * counts[1]).sum(0).log()
    torch.testing.assert_close(result[1], naive)
    assert (result[0] == -torch.inf).all()
    gradient = torch.autograd.grad(result.exp().sum(), terms)[0]
    torch.testing.assert_close(gradient, torch.where(counts, terms.exp(), 0.0).detach())


def test_terms_that_do_not_count_may_be_anything() -> None:
    terms = torch.tensor([[math.nan, 1.0], [math.inf, math.nan]], requires_grad=True)
    result = log_sum_of_counting(terms, torch.tensor([[False, True], [False, False]]))
    result.exp().sum().backward()
    assert result.tolist() == [1.0, -math.inf]
    torch.testing.assert_close(terms.grad, torch.tensor([[0.0, math.e], [0.0, 0.0]]))


def test_a_target_alone_is_refused() -> None:
    check_negatives(2)
    with pytest.raises(ValueError, match=r"target and >= 1 negative, got 1 candidate"):
        check_negatives(1)
