"""Survival bounds against beam search on fully enumerated random trees."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.objectives.competition import competition_log_odds
from beamwise.objectives.prefix_alignment import (
    pairwise_prefix_losses,
    pointwise_prefix_losses,
)
from beamwise.objectives.survival_bound import (
    survival_bound,
    survival_bound_from_losses,
    survives_by_probability,
)

Tree = dict[tuple[int, ...], float]


def random_tree(rng: np.random.Generator, levels: int) -> Tree:
    """Log-probability of every prefix; 1 to 4 branches, sharp or flat, some mass on no item."""
    tree: Tree = {(): 0.0}
    frontier: list[tuple[int, ...]] = [()]
    for _ in range(levels):
        extended = []
        for prefix in frontier:
            branches = rng.integers(1 if prefix else 2, 5)
            shares = rng.dirichlet(np.full(branches, rng.choice([0.3, 3.0])))
            shares = shares * rng.choice([1.0, 0.6])
            for token, share in enumerate(np.maximum(shares, 1e-12)):
                tree[(*prefix, token)] = tree[prefix] + math.log(share)
                extended.append((*prefix, token))
        frontier = extended
    return tree


def survives(tree: Tree, target: tuple[int, ...], widths: list[int]) -> bool:
    """Beam search in a loop; the target loses every tie."""
    beam: list[tuple[int, ...]] = [()]
    for m, width in enumerate(widths, start=1):
        children = [p for p in tree if len(p) == m and p[:-1] in beam]
        children.sort(key=lambda p: (-tree[p], p == target[:m]))
        beam = children[:width]
    return target in beam


def all_competitors(
    tree: Tree, targets: list[tuple[int, ...]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token log-probabilities of each target and every leaf, and which prefixes are distinct."""
    log_probs, counts = [], []
    for target in targets:
        candidates = [target, *(leaf for leaf in targets if leaf != target)]
        log_probs.append(
            [[tree[c[:m]] - tree[c[: m - 1]] for m in range(1, len(c) + 1)] for c in candidates]
        )
        counts.append(
            [
                [all(c[:m] != e[:m] for e in candidates[:j]) for m in range(1, len(c) + 1)]
                for j, c in enumerate(candidates)
            ]
        )
    return torch.tensor(log_probs, dtype=torch.float64), torch.tensor(counts)


def enumerated(seed: int, levels: int) -> tuple[Tree, list[tuple[int, ...]], list[int]]:
    rng = np.random.default_rng(seed)
    tree = random_tree(rng, levels)
    leaves = [prefix for prefix in tree if len(prefix) == levels]
    return tree, leaves, rng.integers(1, 6, levels).tolist()


@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_bounds_hold_on_full_enumerations(seed: int, levels: int) -> None:
    tree, leaves, widths = enumerated(seed, levels)
    log_probs, counts = all_competitors(tree, leaves)
    log_odds = competition_log_odds(log_probs, counts)
    tight = survival_bound(log_odds, widths)
    linear = survival_bound_from_losses(pairwise_prefix_losses(log_odds), widths)
    certain = survives_by_probability(log_probs[:, 0], widths)
    survived = torch.tensor([float(survives(tree, leaf, widths)) for leaf in leaves]).double()
    assert (survived >= tight - 1e-9).all()
    assert (survived >= linear - 1e-9).all()
    assert (survived.bool() | ~certain).all()


@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_a_loss_of_the_beam_below_log_2_is_a_certificate(seed: int, levels: int) -> None:
    tree, leaves, widths = enumerated(seed, levels)
    log_probs, counts = all_competitors(tree, leaves)
    log_odds = competition_log_odds(log_probs, counts)
    losses = pairwise_prefix_losses(log_odds, beam_width=torch.tensor(widths))
    certain = (losses < math.log(2)).all(1)
    for leaf, is_certain in zip(leaves, certain.tolist(), strict=True):
        assert survives(tree, leaf, widths) or not is_certain
    # The same certificate as exp(phi) < K, and as the linear bound with the widths in the losses.
    assert torch.equal(certain, survival_bound(log_odds, widths) > 0)
    assert torch.equal(certain, survival_bound_from_losses(losses, 1) > 0)


def test_bounds_are_not_vacuous() -> None:
    survivors = by_odds = by_loss = by_probability = 0
    for seed in range(40):
        tree, leaves, widths = enumerated(seed, 2)
        log_probs, counts = all_competitors(tree, leaves)
        log_odds = competition_log_odds(log_probs, counts)
        linear = survival_bound_from_losses(pairwise_prefix_losses(log_odds), widths)
        survivors += sum(survives(tree, leaf, widths) for leaf in leaves)
        by_odds += int((survival_bound(log_odds, widths) > 0).sum())
        by_loss += int((linear > 0).sum())
        by_probability += int(survives_by_probability(log_probs[:, 0], widths).sum())
    # exp(phi) < K and L < log(1 + K) are one condition; P alone cannot see mass that is on no item.
    assert by_odds == by_loss
    assert 0.1 * survivors < by_probability < by_odds <= survivors


def test_golden() -> None:
    # exp(phi) = 1 and 3, K = (2, 6): both at 1/2. Losses log 2 and log 4 over log 3 and log 7.
    log_odds = torch.tensor([[1.0, 3.0]]).log()
    torch.testing.assert_close(survival_bound(log_odds, [2, 6]), torch.tensor([0.5]))
    torch.testing.assert_close(
        survival_bound_from_losses(pairwise_prefix_losses(log_odds), [2, 6]),
        torch.tensor([1 - math.log(4) / math.log(7)]),
    )
    # P = 0.6 and 0.3: above 1 / (1 + K) for K = (1, 3), and 0.3 is not for K = (1, 2).
    log_probs = torch.tensor([[0.6, 0.5]]).log()
    assert survives_by_probability(log_probs, [1, 3]).tolist() == [True]
    assert survives_by_probability(log_probs, [1, 2]).tolist() == [False]


def test_nothing_competes() -> None:
    log_odds = torch.full((1, 2), -torch.inf)
    assert survival_bound(log_odds, 3).tolist() == [1.0]


def counter_example() -> tuple[Tree, list[tuple[int, ...]]]:
    """Greedy search takes 0, then 01 (0.48): the target 00 (0.32) is pruned."""
    probabilities = {(): 1.0, (0,): 0.8, (1,): 0.2, (0, 0): 0.32, (0, 1): 0.48, (1, 0): 0.2}
    tree = {prefix: math.log(p) for prefix, p in probabilities.items()}
    return tree, [(0, 0), (0, 1), (1, 0)]


def test_length_divided_loss_certifies_a_pruned_target() -> None:
    tree, leaves = counter_example()
    assert not survives(tree, (0, 0), [1, 1])
    log_probs, counts = all_competitors(tree, leaves)
    log_odds = competition_log_odds(log_probs, counts)
    # L(1) = -log 0.8, L(2) = -log 0.32 = 1.139: over log 2 it is 1.64, divided by two 0.82 < 1.
    undivided = survival_bound_from_losses(pairwise_prefix_losses(log_odds), 1)[0]
    divided = survival_bound_from_losses(
        pairwise_prefix_losses(log_odds, divide_by_length=True), 1
    )[0]
    assert float(undivided) == pytest.approx(1 + math.log(0.32) / math.log(2))
    assert float(divided) == pytest.approx(1 + math.log(0.32) / 2 / math.log(2))
    assert undivided < 0 < divided


def test_length_divided_pointwise_loss_certifies_a_pruned_target() -> None:
    tree, leaves = counter_example()
    log_probs, _ = all_competitors(tree, leaves)
    target = log_probs[:1, 0]
    per_token = pointwise_prefix_losses(target, torch.ones(1, 2, dtype=torch.bool))
    assert (per_token < math.log(2)).all()
    assert not survives_by_probability(target, 1).any()


@pytest.mark.parametrize("beam_width", [0, [2], [2, 0], [1, 2, 3]])
def test_widths_that_do_not_fit_are_refused(beam_width: int | list[int]) -> None:
    with pytest.raises(ValueError, match="one for each of 2 levels, got"):
        survival_bound(torch.zeros(1, 2), beam_width)
