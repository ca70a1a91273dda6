"""Prefix alignment by value and gradient, against naive loops over the paper's equations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from beamwise.objectives import OBJECTIVES, CandidateScores
from beamwise.objectives.competition import competition_log_odds
from beamwise.objectives.cross_entropy import CrossEntropyConfig
from beamwise.objectives.prefix_alignment import (
    PairwisePrefixAlignment,
    PairwisePrefixAlignmentConfig,
    PointwisePrefixAlignment,
    PointwisePrefixAlignmentConfig,
    equivalent_level_weights,
    pairwise_prefix_losses,
    pointwise_prefix_losses,
)


def naive_pairwise(
    scores: CandidateScores,
    *,
    divide_by_length: bool = False,
    temperature: float = 1.0,
    widths: tuple[int, ...] = (1, 1, 1, 1),
) -> torch.Tensor:
    """Eq. (14), or Algorithm 1's form with the length, or of a beam, one term at a time."""
    batch, candidates, levels = scores.log_probs.shape
    rows = []
    for row in range(batch):
        for m in range(1, levels + 1):
            target = scores.log_probs[row, 0, :m].sum()
            total = torch.zeros((), dtype=torch.float64)
            for j in range(1, candidates):
                if scores.counts[row, j, m - 1] and scores.counts[row, 0, m - 1]:
                    negative = scores.log_probs[row, j, :m].sum()
                    term = torch.exp((negative - target) / temperature)
                    if scores.log_weights is not None:
                        term = term * scores.log_weights[row, j, m - 1].exp()
                    total = total + term
            loss = -torch.log(1 / (1 + total / widths[m - 1]))
            rows.append(loss / m if divide_by_length else loss)
    return torch.stack(rows).view(batch, levels)


def naive_pointwise(scores: CandidateScores) -> torch.Tensor:
    """Eq. (12), one term at a time."""
    batch, _, levels = scores.log_probs.shape
    losses = torch.zeros(batch, levels, dtype=torch.float64)
    for row in range(batch):
        for m in range(1, int(scores.counts[row, 0].sum()) + 1):
            losses[row, m - 1] = -sum(scores.log_probs[row, 0, t] for t in range(m)) / m
    return losses


def assert_same_value_and_gradient(
    ours: torch.Tensor, naive: torch.Tensor, scores: CandidateScores
) -> None:
    torch.testing.assert_close(ours, naive)
    factors = torch.linspace(0.5, 2.0, ours.numel(), dtype=torch.float64).view(ours.shape)
    (gradient,) = torch.autograd.grad((ours * factors).sum(), scores.log_probs)
    (expected,) = torch.autograd.grad((naive * factors).sum(), scores.log_probs)
    torch.testing.assert_close(gradient, expected)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_pointwise_equals_eq12(seed: int, request: pytest.FixtureRequest) -> None:
    scores = request.getfixturevalue("make_scores")(seed)
    ours = pointwise_prefix_losses(scores.log_probs[:, 0], scores.counts[:, 0])
    assert_same_value_and_gradient(ours, naive_pointwise(scores), scores)


@given(seed=st.integers(0, 2**32 - 1), weighted=st.booleans(), divided=st.booleans())
@settings(max_examples=20, deadline=None)
def test_pairwise_equals_eq14_and_divided_algorithm1(
    seed: int, weighted: bool, divided: bool, request: pytest.FixtureRequest
) -> None:
    scores = request.getfixturevalue("make_scores")(seed, weighted=weighted)
    log_odds = competition_log_odds(
        scores.log_probs, scores.counts, scores.log_weights, temperature=0.7
    )
    ours = pairwise_prefix_losses(log_odds, divide_by_length=divided)
    naive = naive_pairwise(scores, divide_by_length=divided, temperature=0.7)
    assert_same_value_and_gradient(ours, naive, scores)


def test_pairwise_golden() -> None:
    # Prefix probabilities: target 1/2 then 1/8; negatives 1/4 then 1/4, and 1/4 then 1/8.
    # Level 1: 1 + (1/4 + 1/4) / (1/2) = 2. Level 2: 1 + (1/4 + 1/8) / (1/8) = 4.
    log_probs = torch.tensor([[[1 / 2, 1 / 4], [1 / 4, 1.0], [1 / 4, 1 / 2]]]).log()
    log_odds = competition_log_odds(log_probs, torch.ones(1, 3, 2, dtype=torch.bool))
    torch.testing.assert_close(
        pairwise_prefix_losses(log_odds), torch.tensor([[math.log(2), math.log(4)]])
    )
    torch.testing.assert_close(
        pairwise_prefix_losses(log_odds, divide_by_length=True),
        torch.tensor([[math.log(2), math.log(2)]]),
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    widths=st.lists(st.integers(1, 50), min_size=3, max_size=3),
    one=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_pairwise_of_a_beam_is_the_log_of_one_plus_odds_over_its_width(
    seed: int, widths: list[int], one: bool, request: pytest.FixtureRequest
) -> None:
    scores = request.getfixturevalue("make_scores")(seed, weighted=True)
    beam_width = widths[:1] if one else widths
    log_odds = competition_log_odds(scores.log_probs, scores.counts, scores.log_weights)
    ours = pairwise_prefix_losses(log_odds, beam_width=torch.tensor(beam_width))
    naive = naive_pairwise(scores, widths=tuple(beam_width * 3 if one else widths))
    assert_same_value_and_gradient(ours, naive, scores)


def test_a_beam_of_one_is_the_papers_loss(make_scores) -> None:
    scores = make_scores(seed=4, weighted=True)
    losses = []
    for beam_width in (None, 1, (1, 1, 1)):
        config = PairwisePrefixAlignmentConfig(beam_width=beam_width)
        losses.append(PairwisePrefixAlignment(config).double()(scores)[0])
    assert torch.equal(losses[0], losses[1])
    assert torch.equal(losses[0], losses[2])


def test_a_beam_asks_for_less_the_wider_it_is(make_scores) -> None:
    scores = make_scores(seed=6)
    log_odds = competition_log_odds(scores.log_probs, scores.counts)
    narrow, wide = (
        pairwise_prefix_losses(log_odds, beam_width=torch.tensor([width])) for width in (2, 20)
    )
    contested = log_odds > -torch.inf
    assert (wide[contested] < narrow[contested]).all()
    assert (wide[~contested] == 0).all()


def test_widths_must_be_one_or_one_a_level() -> None:
    PairwisePrefixAlignment(PairwisePrefixAlignmentConfig(beam_width=7)).check(3)
    objective = PairwisePrefixAlignment(PairwisePrefixAlignmentConfig(beam_width=(7, 8)))
    objective.check(2)
    with pytest.raises(ValueError, match="one for each of 3 levels"):
        objective.check(3)
    for refused in (0, (3, 0)):
        with pytest.raises(ValidationError, match="greater than 0"):
            PairwisePrefixAlignmentConfig(beam_width=refused)


def test_what_the_pairwise_loss_can_act_on_is_logged() -> None:
    # Level 1: phi = ln 2, -ln 2 and no competitor. Level 2: the first target has no such prefix,
    # the second meets phi = ln 4, the third nothing.
    log_probs = torch.tensor(
        [[[1.0, 1.0], [2.0, 1.0]], [[2.0, 0.25], [1.0, 2.0]], [[1.0, 1.0]] * 2]
    )
    counts = torch.tensor([[[1, 0], [1, 1]], [[1, 1], [1, 1]], [[1, 1], [0, 0]]]).bool()
    scores = CandidateScores(log_probs.log(), counts)

    def logged(**settings: object) -> dict[str, float]:
        config = PairwisePrefixAlignmentConfig.model_validate(settings)
        _, metrics = PairwisePrefixAlignment(config)(scores)
        names = ("contested", "margin", "outweighed")
        return {f"{n}_{m}": float(metrics[f"prefix_{n}_{m}"]) for n in names for m in (1, 2)}

    expected = {"contested_1": 2 / 3, "contested_2": 1 / 2, "margin_1": 0.0}
    expected |= {"margin_2": -math.log(4), "outweighed_1": 1 / 2, "outweighed_2": 1.0}
    assert logged() == pytest.approx(expected, abs=1e-6)
    assert logged(beam_width=3)["outweighed_1"] == 0.0
    assert logged(beam_width=[1, 5])["outweighed_2"] == 0.0


@pytest.mark.parametrize("name", ["apao-pointwise", "apao-pairwise"])
def test_mean_over_the_batch_is_the_papers_loss(name: str, make_scores) -> None:
    scores = make_scores(seed=5, levels=4)
    full = torch.ones(5, 4, dtype=torch.bool)
    counts = torch.cat([full[:, None], scores.counts[:, 1:]], dim=1)
    scores = CandidateScores(scores.log_probs, counts)
    config = OBJECTIVES[name].Config.model_validate(
        {"name": name, "beta": 0.6, "eta": 0.3, "ce_weight": 0.5}
    )
    loss, metrics = OBJECTIVES[name](config).double()(scores)
    levels = (naive_pairwise if name == "apao-pairwise" else naive_pointwise)(scores)
    weights = (0.3 * levels.mean(0)).softmax(0).detach()  # one update of uniform weights, Eq. (17)
    token_loss = -scores.log_probs[:, 0].mean()
    naive = 0.5 * token_loss + 0.6 * (weights * levels.mean(0)).sum()
    assert_same_value_and_gradient(loss.mean(), naive, scores)
    torch.testing.assert_close(metrics["cross_entropy"], token_loss.detach())
    torch.testing.assert_close(metrics["prefix_loss_3"].value, levels.mean(0)[2].detach())
    torch.testing.assert_close(metrics["prefix_weight_3"], weights[2])
    torch.testing.assert_close(metrics["prefix_loss"], (weights @ levels.mean(0)).detach())


@pytest.mark.parametrize("name", ["apao-pointwise", "apao-pairwise"])
def test_gradcheck(name: str, make_scores) -> None:
    scores = make_scores(seed=2, batch=2, weighted=True)
    # Uniform, because adaptive weights follow the losses but are constants to the gradient.
    config = OBJECTIVES[name].Config.model_validate({"name": name, "prefix_weights": "uniform"})
    objective = OBJECTIVES[name](config).double()

    def loss(log_probs: torch.Tensor) -> torch.Tensor:
        return objective(CandidateScores(log_probs, scores.counts, scores.log_weights))[0]

    assert torch.autograd.gradcheck(loss, (scores.log_probs,))


@pytest.mark.parametrize("form", ["uniform", "hard-max", "eq17", "algorithm1", "released"])
def test_pointwise_reweights_the_tokens_of_cross_entropy(form: str) -> None:
    generator = torch.Generator().manual_seed(1)
    log_probs = -torch.rand(3, 1, 4, generator=generator, dtype=torch.float64)
    scores = CandidateScores(log_probs.requires_grad_(), torch.ones(3, 1, 4, dtype=torch.bool))
    config = PointwisePrefixAlignmentConfig.model_validate(
        {"prefix_weights": form, "beta": 0.4, "eta": 2.0}
    )
    loss, metrics = PointwisePrefixAlignment(config).double()(scores)
    w = [float(metrics[f"prefix_weight_{m}"]) for m in range(1, 5)]
    factors = [1 / 4 + 0.4 * sum(w[m - 1] / m for m in range(t, 5)) for t in range(1, 5)]
    factors = torch.tensor(factors, dtype=torch.float64)
    torch.testing.assert_close(loss, -(scores.log_probs[:, 0] @ factors))
    loss.sum().backward()
    torch.testing.assert_close(scores.log_probs.grad, -factors.expand(3, 1, 4))


@pytest.mark.parametrize("ce_weight", [1.0, 0.3, 0.0])
def test_pointwise_with_fixed_weights_is_weighted_cross_entropy(ce_weight: float) -> None:
    generator = torch.Generator().manual_seed(2)
    log_probs = -torch.rand(6, 1, 4, generator=generator, dtype=torch.float64)
    scores = CandidateScores(log_probs.requires_grad_(), torch.ones(6, 1, 4, dtype=torch.bool))
    config = PointwisePrefixAlignmentConfig(
        prefix_weights="uniform", beta=0.4, ce_weight=ce_weight, prefixes=(1, 2)
    )
    aligned, _ = PointwisePrefixAlignment(config).double()(scores)
    weights = equivalent_level_weights((0.5, 0.5, 0.0, 0.0), beta=0.4, ce_weight=ce_weight)
    weighted, _ = OBJECTIVES["ce"](CrossEntropyConfig(level_weights=weights)).double()(scores)
    # Up to one factor, ce_weight + beta * sum of w; weights are kept in float32 by the objective.
    scaled = (ce_weight + 0.4) * weighted
    torch.testing.assert_close(aligned, scaled, rtol=1e-6, atol=1e-7)
    gradient, other = (
        torch.autograd.grad(loss.sum(), scores.log_probs)[0] for loss in (aligned, scaled)
    )
    torch.testing.assert_close(gradient, other, rtol=1e-6, atol=1e-7)


def test_equivalent_weights_golden() -> None:
    # T = 2, w = (1/2, 1/2), beta = 1: c = (1/2 + 1/2 + 1/4, 1/2 + 1/4) = (5/4, 3/4), mean 1.
    assert equivalent_level_weights((0.5, 0.5), beta=1.0) == pytest.approx((1.25, 0.75))
    assert equivalent_level_weights((0.5, 0.5), beta=0.0) == (1.0, 1.0)
    # All weight on the whole item is cross-entropy again; on the first token, that token alone.
    assert equivalent_level_weights((0.0, 0.0, 1.0), beta=9.0) == pytest.approx((1.0, 1.0, 1.0))
    assert equivalent_level_weights((1.0, 0.0), beta=1.0, ce_weight=0.0) == (2.0, 0.0)
    with pytest.raises(ValueError, match="one of them above 0"):
        equivalent_level_weights((1.0, 0.0), beta=0.0, ce_weight=0.0)


def test_level_losses_in_the_metrics_are_means_over_targets_that_have_the_level() -> None:
    counts = torch.tensor([[[True, True]], [[True, False]]])
    scores = CandidateScores(torch.tensor([[[-1.0, -2.0]], [[-3.0, 0.0]]]), counts)
    _, metrics = PointwisePrefixAlignment(PointwisePrefixAlignmentConfig())(scores)
    assert (float(metrics["prefix_loss_1"]), float(metrics["prefix_loss_2"])) == (2.0, 1.5)


def test_settings_reach_the_pairwise_loss(make_scores) -> None:
    scores = make_scores(seed=9)
    config = PairwisePrefixAlignmentConfig(
        ce_weight=0,
        beta=2.0,
        prefix_weights="hard-max",
        prefixes=(2,),
        divide_by_length=True,
        margin_temperature=0.5,
    )
    loss, _ = PairwisePrefixAlignment(config).double()(scores)
    naive = naive_pairwise(scores, divide_by_length=True, temperature=0.5)
    torch.testing.assert_close(loss, 2 * naive[:, 1])


def test_begin_update_reaches_the_weights(make_scores) -> None:
    scores = make_scores()
    config = PointwisePrefixAlignmentConfig(eta=0.5, update_every="step")
    told, once = (PointwisePrefixAlignment(config).double() for _ in range(2))
    once(scores)
    for step in (True, False):
        told.begin_update(micro_batch=True, step=step)
        told(scores)
    torch.testing.assert_close(told.prefix_weights.log_weights, once.prefix_weights.log_weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_where_no_negative_counts_the_term_and_its_gradient_are_zero(weighted: bool) -> None:
    shape = (2, 3, 2)
    log_probs = torch.full(shape, -1.0, requires_grad=True)
    counts = torch.ones(shape, dtype=torch.bool)
    counts[0, 1:, 0] = False  # no competitor at level 1 of the first target
    counts[1, 1:] = False  # none at all for the second
    log_weights = torch.zeros(shape) if weighted else None
    log_odds = competition_log_odds(log_probs, counts, log_weights)
    losses = pairwise_prefix_losses(log_odds)
    torch.testing.assert_close(losses, torch.tensor([[0.0, math.log(3)], [0.0, 0.0]]))
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        losses.sum().backward()
    # d log(1 + 2 e^0) / d(score difference) = 1/3 a negative, over both tokens of its prefix.
    third = torch.tensor(1 / 3)
    expected = torch.zeros(shape)
    expected[0, 0], expected[0, 1:] = -2 * third, third
    torch.testing.assert_close(log_probs.grad, expected)


@pytest.mark.parametrize("form", ["uniform", "hard-max", "eq17", "algorithm1", "released"])
def test_loss_without_any_competitor_is_cross_entropy(form: str) -> None:
    log_probs = torch.full((2, 3, 2), -1.0, requires_grad=True)
    counts = torch.zeros(2, 3, 2, dtype=torch.bool)
    counts[:, 0] = True
    config = PairwisePrefixAlignmentConfig.model_validate({"prefix_weights": form})
    loss, _ = PairwisePrefixAlignment(config)(CandidateScores(log_probs, counts))
    loss.sum().backward()
    assert loss.tolist() == [1.0, 1.0]
    assert log_probs.grad is not None
    torch.testing.assert_close(log_probs.grad[:, 0], torch.full((2, 2), -0.5))
    assert not log_probs.grad[:, 1:].any()


def test_extreme_scores_stay_finite() -> None:
    log_probs = torch.tensor([[[-500.0], [-0.001], [-800.0]]], requires_grad=True)
    log_odds = competition_log_odds(log_probs, torch.ones(1, 3, 1, dtype=torch.bool))
    loss = pairwise_prefix_losses(log_odds)
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.tensor([[499.999]]))
    assert log_probs.grad is not None
    torch.testing.assert_close(log_probs.grad, torch.tensor([[[-1.0], [1.0], [0.0]]]))


def test_without_negatives_is_refused() -> None:
    scores = CandidateScores(torch.zeros(2, 1, 3), torch.ones(2, 1, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"target and >= 1 negative, got 1 candidate"):
        PairwisePrefixAlignment(PairwisePrefixAlignmentConfig())(scores)


@pytest.mark.parametrize("prefixes", [[], [2, 1], [1, 1], [1, 17]])
def test_prefixes_that_are_no_ascending_lengths_are_refused(prefixes: list[int]) -> None:
    with pytest.raises(ValidationError, match=r"prefixes must be ascending lengths in 1..max_"):
        PointwisePrefixAlignmentConfig.model_validate({"prefixes": prefixes})


def test_settings_without_any_loss_are_refused() -> None:
    with pytest.raises(ValidationError, match="beta and ce_weight are both 0"):
        PointwisePrefixAlignmentConfig(beta=0, ce_weight=0)


def test_titles_have_as_many_levels_as_are_asked_for() -> None:
    capped = PairwisePrefixAlignmentConfig(
        levels="branching", max_prefixes=4, beam_width=(9, 9, 9, 9)
    )
    objective = PairwisePrefixAlignment(capped)
    assert objective.needs.branching_levels
    assert objective.needs.max_prefixes == 4
    objective.check(61)
    with pytest.raises(ValueError, match="one for each of 3 levels"):
        objective.check(3)
    with pytest.raises(ValueError, match="max_levels to at least 61, or max_prefixes to fewer"):
        PairwisePrefixAlignment(PairwisePrefixAlignmentConfig(levels="branching")).check(61)
    with pytest.raises(ValueError, match="max_prefixes=17 must be at most max_levels=16"):
        PairwisePrefixAlignmentConfig(max_prefixes=17)
    with pytest.raises(ValueError, match=r"lengths in 1..max_prefixes=2, at least one, got \[3\]"):
        PairwisePrefixAlignmentConfig(max_prefixes=2, prefixes=(3,))


def test_lengths_are_tokens_where_a_level_holds_several() -> None:
    # Levels of 2 and 3 tokens more: -6 / 2, and (-6 - 9) / 5; pairwise losses the same way.
    log_probs = torch.tensor([[-6.0, -9.0]])
    exists, lengths = torch.ones(1, 2, dtype=torch.bool), torch.tensor([[2, 5]])
    losses = pointwise_prefix_losses(log_probs, exists, lengths)
    assert losses.tolist() == [[3.0, 3.0]]
    log_odds = torch.zeros(1, 2)
    divided = pairwise_prefix_losses(log_odds, divide_by_length=True, lengths=lengths)
    torch.testing.assert_close(divided, math.log(2) / torch.tensor([[2.0, 5.0]]))


def test_a_cap_on_tokens_leaves_the_later_ones_to_cross_entropy(make_scores) -> None:
    scores = make_scores(4)
    capped = PointwisePrefixAlignmentConfig(max_prefixes=2, prefix_weights="uniform")
    chosen = PointwisePrefixAlignmentConfig(prefixes=(1, 2), prefix_weights="uniform")
    losses = [PointwisePrefixAlignment(config).double()(scores)[0] for config in (capped, chosen)]
    torch.testing.assert_close(*losses)
