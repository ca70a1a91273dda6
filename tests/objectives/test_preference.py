"""What preferences share: log-ratios, weights, the reference, and what is logged."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from beamwise.config import changed_config, read_config, write_config
from beamwise.objectives import OBJECTIVES, CandidateScores, Objective
from beamwise.objectives.preference import (
    PreferenceConfig,
    item_log_ratios,
    item_log_weights,
    negative_shares,
    preference_metrics,
)

NAMES = ("dpo", "dmpo", "s-dpo")


def objective(name: str, **settings: object) -> Objective:
    return OBJECTIVES[name](OBJECTIVES[name].Config.model_validate({"name": name} | settings))


def naive_mean(losses: list[torch.Tensor], weights: list[torch.Tensor]) -> torch.Tensor:
    total = sum(w * loss for w, loss in zip(weights, losses, strict=True))
    return torch.as_tensor(total / sum(weights))


def naive(name: str, scores: CandidateScores, beta: float, with_reference: bool) -> torch.Tensor:
    """The equations, one target and one negative at a time, in probabilities."""
    losses = []
    for row in range(len(scores.log_probs)):
        ratios = []
        for j in range(scores.log_probs.shape[1]):
            ratio = scores.log_probs[row, j].sum()
            if with_reference:
                ratio = ratio - scores.reference_log_probs[row, j].sum()
            ratios.append(ratio)
        negatives = [j for j in range(1, len(ratios)) if scores.is_item[row, j]]
        weights = []
        for j in negatives:
            length = max(t + 1 for t in range(scores.counts.shape[2]) if scores.counts[row, j, t])
            weight = torch.ones((), dtype=torch.float64)
            if scores.log_weights is not None:
                weight = scores.log_weights[row, j, length - 1].exp()
            weights.append(weight)
        if not negatives:
            losses.append(torch.zeros((), dtype=torch.float64))
        elif name == "dpo":
            each = [-torch.log(torch.sigmoid(beta * (ratios[0] - ratios[j]))) for j in negatives]
            losses.append(naive_mean(each, weights))
        elif name == "dmpo":
            mean = naive_mean([ratios[j] for j in negatives], weights)
            losses.append(-torch.log(torch.sigmoid(beta * ratios[0] - beta * mean)))
        else:
            total = sum(
                w * torch.exp(beta * (ratios[j] - ratios[0]))
                for w, j in zip(weights, negatives, strict=True)
            )
            losses.append(-torch.log(torch.sigmoid(-torch.log(torch.as_tensor(total)))))
    return torch.stack(losses)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reference", ["initial-weights", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_are_those_of_the_equation(
    name: str, reference: str, weighted: bool, seed: int, make_scores
) -> None:
    scores = make_scores(seed, weighted=weighted, items=True, reference=True)
    ours, _ = objective(name, beta=0.7, reference=reference)(scores)
    expected = naive(name, scores, 0.7, reference != "none")
    torch.testing.assert_close(ours, expected)
    factors = torch.linspace(0.5, 2.0, len(ours), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((ours * factors).sum(), scores.log_probs)
    (wanted,) = torch.autograd.grad((expected * factors).sum(), scores.log_probs)
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_one_stage_adds_cross_entropy(name: str, make_scores) -> None:
    scores = make_scores(3, items=True, reference=True)
    alone, _ = objective(name)(scores)
    both, metrics = objective(name, weight=0.3, ce_weight=2.0)(scores)
    token_loss, _ = objective("ce")(scores)
    torch.testing.assert_close(both, 0.3 * alone + 2.0 * token_loss)
    torch.testing.assert_close(metrics["own_loss"], alone.detach().mean())


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_equal_to_the_policy_leaves_the_number_of_negatives(
    name: str, make_scores
) -> None:
    # All r are 0: log 2 for a pair or a mean, and log(1 + n) for n negatives at once.
    scores = make_scores(4, candidates=6)
    scores = replace(scores, reference_log_probs=scores.log_probs.detach().clone())
    loss, metrics = objective(name, beta=3.0)(scores)
    expected = math.log(1 + 5) if name == "s-dpo" else math.log(2)
    torch.testing.assert_close(loss, torch.full_like(loss, expected))
    assert float(metrics["reward_margin"]) == 0
    assert float(metrics["target_wins"]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_negatives_equal_to_the_target_pull_without_moving_their_sum(
    name: str, make_scores
) -> None:
    scores = make_scores(5, candidates=4, levels=2)
    log_probs = scores.log_probs.detach()[:, :1].expand(-1, 4, -1).clone().requires_grad_()
    loss, _ = objective(name, reference="none")(replace(scores, log_probs=log_probs))
    share = 3 / 4 if name == "s-dpo" else 1 / 2  # sigmoid of log 3, and of 0
    loss.sum().backward()
    expected = torch.full_like(log_probs, share / 3)
    expected[:, 0] = -share
    torch.testing.assert_close(log_probs.grad, expected)


@pytest.mark.parametrize("name", NAMES)
def test_of_one_level_items_are_tokens(name: str, make_scores) -> None:
    scores = make_scores(6, levels=1, items=True)
    loss, _ = objective(name, reference="none")(scores)
    torch.testing.assert_close(loss, naive(name, scores, 1.0, with_reference=False))


@pytest.mark.parametrize("name", NAMES)
def test_no_negatives_and_no_reference_are_refused(name: str, make_scores) -> None:
    with pytest.raises(ValueError, match=r"target and >= 1 negative, got 1 candidate"):
        objective(name, reference="none")(make_scores(candidates=1))
    with pytest.raises(ValueError, match="reference='initial-weights' and no reference_log_probs"):
        objective(name)(make_scores())
    with pytest.raises(ValueError, match="reference='runs/first' and no reference_log_probs"):
        objective(name, reference="runs/first")(make_scores())


def test_log_ratios_are_sums_of_differences() -> None:  # 1 + 2 - (0.5 + 4), as negative numbers
    log_probs = torch.tensor([[[-1.0, -2.0], [-3.0, 0.0]]])
    reference = torch.tensor([[[-0.5, -4.0], [-1.0, 0.0]]])
    assert item_log_ratios(log_probs, reference).tolist() == [[1.5, -2.0]]
    assert item_log_ratios(log_probs).tolist() == [[-3.0, -3.0]]


def test_an_items_weight_is_that_of_its_last_level() -> None:
    log_weights = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]])
    counts = torch.tensor([[[True] * 3, [True, True, False], [False] * 3]])
    assert item_log_weights(log_weights, counts).tolist() == [[3.0, 5.0, 7.0]]


def test_shares_sum_to_one_over_what_counts() -> None:
    ratios = torch.zeros(3, 4)
    counts = torch.tensor(
        [[True, True, False, True], [False, True, True, True], [True] + [False] * 3]
    )
    log_weights = torch.tensor([0.0, 1.0, 5.0, 3.0]).log().expand(3, 4)
    assert negative_shares(ratios, counts, None).tolist() == [
        [0.5, 0.0, 0.5],
        [pytest.approx(1 / 3)] * 3,
        [0.0, 0.0, 0.0],
    ]
    torch.testing.assert_close(
        negative_shares(ratios, counts, log_weights),
        torch.tensor([[1 / 4, 0.0, 3 / 4], [1 / 9, 5 / 9, 3 / 9], [0.0] * 3]),
    )


def test_metrics_golden() -> None:
    # Target 1 beats -1 and 0 by 1.5 on average; 2 loses to 4, its other negative does not count;
    # the third has no negative. Rewards of those with one: (1 + 2) / 2; negatives (-1 + 0 + 4) / 3.
    rewards = torch.tensor([[1.0, -1.0, 0.0], [2.0, 4.0, -9.0], [9.0, 9.0, 9.0]])
    counts = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    log_probs = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0], [-7.0, -8.0, -9.0]])
    metrics = preference_metrics(rewards, log_probs[..., None], counts)
    expected = {
        "active": 2 / 3,
        "target_wins": 1 / 2,
        "reward_margin": (1.5 - 2) / 2,
        "target_reward": 1.5,
        "negative_reward": 1.0,
        "target_log_prob": -4.0,
        "negative_log_prob": -10 / 3,
    }
    assert {name: float(value) for name, value in metrics.items()} == pytest.approx(expected)
    everything = preference_metrics(rewards, log_probs[..., None], None)
    assert float(everything["active"]) == 1
    assert float(everything["negative_log_prob"]) == pytest.approx(-33 / 6)


def test_logged_rewards_have_beta_in_them(make_scores) -> None:
    scores = make_scores(7, items=True, reference=True)
    margins = [objective("s-dpo", beta=beta)(scores)[1]["reward_margin"] for beta in (1.0, 2.0)]
    assert float(margins[1]) == pytest.approx(2 * float(margins[0]))


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ("none", None),
        ("initial-weights", "initial-weights"),
        ("runs/first", Path("runs/first")),
        ("/runs/none", Path("/runs/none")),
    ],
)
def test_references_survive_yaml_and_overrides(given: str, needed: object, tmp_path: Path) -> None:
    config = PreferenceConfig.model_validate({"reference": given})
    assert isinstance(config.reference, Path) == isinstance(needed, Path)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(PreferenceConfig, tmp_path / "config.yaml") == config
    assert changed_config(PreferenceConfig(), None, [f"reference={given}"]) == config
    assert PreferenceConfig.model_validate(config.model_dump()) == config
    assert PreferenceConfig.model_validate_json(config.model_dump_json()) == config
    for name in NAMES:
        assert objective(name, reference=given).needs.reference == needed


@pytest.mark.parametrize("reference", ["./none", "./initial-weights", "", Path("none"), None])
def test_folders_that_cannot_be_told_from_a_choice_are_refused(reference: object) -> None:
    with pytest.raises(ValidationError):
        PreferenceConfig.model_validate({"reference": reference})
