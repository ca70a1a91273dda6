"""Prefix survival: exact competition without competitors, by value, gradient and what it proves."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.objectives.base import CandidateScores
from beamwise.objectives.masked_softmax import legal_log_probs, legal_logits_of
from beamwise.objectives.prefix_alignment import competition_log_odds
from beamwise.objectives.prefix_survival import (
    PrefixSurvival,
    PrefixSurvivalConfig,
    prefix_survival_losses,
)
from beamwise.testing.legal_steps import legal_scores
from beamwise.testing.random_scores import random_scores

CHILDREN = 3


def every_leaf(seed: int) -> torch.Tensor:
    """Token log-probabilities of all leaves of a full tree of two levels, in lexical order."""
    generator = torch.Generator().manual_seed(seed)
    shape = (1 + CHILDREN, CHILDREN)
    steps = torch.randn(shape, generator=generator, dtype=torch.float64).log_softmax(1)
    first = steps[0].repeat_interleave(CHILDREN)
    return torch.stack([first, steps[1:].flatten()], 1)


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 5))
@settings(max_examples=20)
def test_competition_is_that_of_every_other_legal_prefix(seed: int, width: int) -> None:
    leaves = every_leaf(seed)
    number = len(leaves)
    order = torch.tensor([[j, *(i for i in range(number) if i != j)] for j in range(number)])
    prefixes = torch.stack([order // CHILDREN, order], -1)
    counts = torch.ones(number, number, 2, dtype=torch.bool)
    for j in range(1, number):
        counts[:, j] = (prefixes[:, j, None] != prefixes[:, :j]).all(1)
    phi = competition_log_odds(leaves[order], counts)
    expected = torch.log1p(phi.exp() / width)
    torch.testing.assert_close(prefix_survival_losses(leaves, torch.tensor([width])), expected)


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 5))
@settings(max_examples=20)
def test_below_log_2_the_prefix_is_among_the_best(seed: int, width: int) -> None:
    leaves = every_leaf(seed)
    safe = prefix_survival_losses(leaves, torch.tensor([width])) < math.log(2)
    paths = leaves.sum(1)
    better_leaves = (paths[None] >= paths[:, None]).sum(1) - 1
    firsts = leaves[::CHILDREN, 0]
    better_firsts = (firsts[None] >= leaves[:, :1]).sum(1) - 1
    assert (better_leaves[safe[:, 1]] < width).all()
    assert (better_firsts[safe[:, 0]] < width).all()


def test_golden() -> None:
    # P = 1/4 then 1/8: 1 + 3 / K and 1 + 7 / K, with K = 3 and 7 both log 2.
    log_probs = torch.tensor([[1 / 4, 1 / 2]]).log()
    found = prefix_survival_losses(log_probs, torch.tensor([3, 7]))
    torch.testing.assert_close(found, torch.tensor([[math.log(2), math.log(2)]]))
    assert found.shape == (1, 2)


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 50))
@settings(max_examples=20)
def test_gradient_is_cross_entropys_times_what_is_left_to_gain(seed: int, width: int) -> None:
    scores = random_scores(seed, legal=True)
    log_probs = legal_log_probs(legal_logits_of(scores)).detach().requires_grad_()
    losses = prefix_survival_losses(log_probs, torch.tensor([width]))
    (gradient,) = torch.autograd.grad(losses.sum(), log_probs)
    factors = 1 / (1 + (width - 1) * log_probs.detach().cumsum(1).exp())
    torch.testing.assert_close(gradient, -factors.flip(1).cumsum(1).flip(1))
    assert torch.autograd.gradcheck(
        lambda x: prefix_survival_losses(x, torch.tensor([width])), (log_probs,)
    )


def test_one_place_is_cross_entropy_of_every_prefix() -> None:
    scores = random_scores(seed=1, legal=True)
    loss, metrics = PrefixSurvival(PrefixSurvivalConfig(beam_width=1))(scores)
    counts = legal_logits_of(scores).counts > 0
    prefixes = -legal_log_probs(legal_logits_of(scores)).cumsum(1)
    torch.testing.assert_close(loss, (prefixes * counts).sum(1) / counts.sum(1))
    logged = metrics["prefix_loss_2"].value
    torch.testing.assert_close(logged, prefixes[counts[:, 1], 1].detach().mean())


def test_certain_and_hopeless_prefixes_stay_finite() -> None:
    log_probs = torch.tensor([[0.0, -1000.0], [0.0, 0.0]], requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        losses = prefix_survival_losses(log_probs, torch.tensor([20]))
        losses.sum().backward()
    expected = torch.tensor([[0.0, 1000 - math.log(20)], [0.0, 0.0]])
    torch.testing.assert_close(losses, expected)
    expected = torch.tensor([[-1 - 1 / 20, -1.0], [-2 / 20, -1 / 20]])
    torch.testing.assert_close(log_probs.grad, expected)


def test_smoothing_and_levels_reach_the_loss() -> None:
    rows = [[[1.0, 0.0, 0.0], [2.0, 0.0]], [[0.0, 1.0, 2.0]]]
    config = PrefixSurvivalConfig(beam_width=(2, 1), smoothing=0.3, weight=2.0)
    loss, _ = PrefixSurvival(config)(legal_scores(rows))

    def smoothed(logits: list[float]) -> float:
        log_probs = torch.tensor(logits, dtype=torch.float64).log_softmax(0)
        return float(0.7 * log_probs[0] + 0.3 * log_probs.mean())

    first, second, other = smoothed(rows[0][0]), smoothed(rows[0][1]), smoothed(rows[1][0])
    by_hand = [
        (math.log(0.5 + 0.5 * math.exp(-first)) - first - second) / 2,
        math.log(0.5 + 0.5 * math.exp(-other)),
    ]
    assert loss.tolist() == pytest.approx([2 * x for x in by_hand])


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one for each of 4 levels, got \[20, 10\]"):
        PrefixSurvival(PrefixSurvivalConfig(beam_width=(20, 10))).check(4)


def test_without_legal_logits_is_refused() -> None:
    scores: CandidateScores = random_scores()
    with pytest.raises(ValueError, match="need the legal tokens' logits"):
        PrefixSurvival(PrefixSurvivalConfig())(scores)


def test_it_logs_the_prefixes_that_it_proves_nothing_of() -> None:
    # K = 2 is proved above P = 1/3: 1/2 is, 1/2 * 1/4 is not; 3/4 is, and there is no second token
    scores = legal_scores([[[0.0, 0.0], [0.0, math.log(3)]], [[math.log(3), 0.0]]])
    _, metrics = PrefixSurvival(PrefixSurvivalConfig(beam_width=2))(scores)
    assert [float(metrics[f"unproved_{length}"]) for length in (1, 2)] == [0.0, 1.0]


def test_forced_tokens_repeat_a_prefix_and_branching_counts_it_once() -> None:
    # One choice with probability 1/4, then two forced tokens; K = 1, so losses are log 4 each.
    rows = [[[5.0], [0.0, math.log(3)], [1.0], [2.0]]]
    for average, expected in (("tokens", 3 / 4), ("branching", 1.0)):
        config = PrefixSurvivalConfig(beam_width=1, average=average)
        loss, _ = PrefixSurvival(config)(legal_scores(rows))
        assert loss.tolist() == pytest.approx([expected * math.log(4)])
