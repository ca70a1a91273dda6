"""Weighted negatives: the exact distribution, who is never drawn, and huge or extreme weights."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from beamwise.sequences import weighted_negatives
from beamwise.sequences.weighted_negatives import Popularity, sample_in_batch, sample_popular

COUNTS = {0: 4, 2: 1, 3: 9, 5: 2, 6: 5, 7: 6, 8: 3, 9: 7}
"""How often each leaf is a target; 1 and 4 never are."""
TARGETS = torch.tensor([leaf for leaf, times in COUNTS.items() for _ in range(times)])


def exact_probabilities(
    weights: dict[int, float], target: int, count: int
) -> dict[tuple[int, ...], float]:
    """Successive sampling, worked out for every ordered choice."""
    others = {leaf: weight for leaf, weight in weights.items() if leaf != target}
    table = {}
    for choice in itertools.permutations(others, count):
        left, probability = sum(others.values()), 1.0
        for leaf in choice:
            probability *= others[leaf] / left
            left -= others[leaf]
        table[choice] = probability
    return table


def assert_distributed(drawn: torch.Tensor, expected: dict[tuple[int, ...], float]) -> None:
    observed = Counter(map(tuple, drawn.tolist()))
    assert set(observed) <= set(expected)
    assert sum(expected.values()) == pytest.approx(1)
    frequencies = [len(drawn) * probability for probability in expected.values()]
    assert chisquare([observed[choice] for choice in expected], frequencies).pvalue > 0.01


def test_weights_are_powers_of_counts() -> None:
    popularity = Popularity.of(torch.tensor([5, 2, 5, 5, 5]), exponent=0.5)
    assert popularity.leaves.tolist() == [2, 5]
    assert popularity.weights.tolist() == [1.0, 2.0]
    assert Popularity.of(torch.tensor([5, 2, 5]), exponent=0.0).weights.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("target", [3, 4])  # one that occurs, and one that does not
@pytest.mark.parametrize("by_keys", [False, True])
def test_popular_draws_have_the_exact_distribution(target, by_keys, monkeypatch) -> None:
    popularity = Popularity.of(TARGETS, exponent=0.75)
    name = "_draw_again" if by_keys else "_draw_by_keys"
    monkeypatch.setattr(weighted_negatives, name, None)  # the other way is taken
    count = 3 if by_keys else 2
    if not by_keys:  # weights that are less uneven leave half of them free
        popularity = Popularity.of(TARGETS, exponent=0.3)
    generator = torch.Generator().manual_seed(11)
    drawn = sample_popular(torch.full((60_000,), target), popularity, count, generator)
    weights = dict(zip(popularity.leaves.tolist(), popularity.weights.tolist(), strict=True))
    assert_distributed(drawn, exact_probabilities(weights, target, count))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_drawing_again_is_exact_even_where_most_is_redrawn(count) -> None:
    popularity = Popularity.of(torch.tensor([0, 1, 1, 2, 2, 2, 3, 4, 4]))
    generator = torch.Generator().manual_seed(count)
    targets = torch.full((40_000,), 2)
    drawn = weighted_negatives._draw_again(targets, popularity, count, generator)
    expected = exact_probabilities({0: 1, 1: 2, 2: 3, 3: 1, 4: 2}, 2, count)
    assert_distributed(drawn, expected)


def test_in_batch_draws_have_the_exact_distribution() -> None:
    step = torch.tensor([3, 3, 3, 8, 8, 1, 5])
    generator = torch.Generator().manual_seed(5)
    drawn = torch.stack([sample_in_batch(step, 2, generator) for _ in range(3_000)])
    for row, target in enumerate(step.tolist()):
        assert_distributed(drawn[:, row], exact_probabilities({3: 3, 8: 2, 1: 1, 5: 1}, target, 2))


def test_in_batch_leaves_what_the_step_does_not_have() -> None:
    drawn = sample_in_batch(torch.tensor([7, 4, 7, 9]), 3)
    assert [sorted(row) for row in drawn.tolist()] == [
        [-1, 4, 9],
        [-1, 7, 9],
        [-1, 4, 9],
        [-1, 4, 7],
    ]
    assert (drawn[:, 2] == -1).all()
    assert sample_in_batch(torch.tensor([7, 7]), 2).tolist() == [[-1, -1], [-1, -1]]


@given(seed=st.integers(0, 2**32 - 1), num_leaves=st.integers(3, 30), fraction=st.floats(0.01, 1.0))
@settings(max_examples=60, deadline=None)
def test_draws_are_distinct_leaves_that_occur(seed, num_leaves, fraction) -> None:
    generator = torch.Generator().manual_seed(seed)
    training = torch.randint(num_leaves, (50,), generator=generator)
    popularity = Popularity.of(training, exponent=2.0)
    others = len(popularity.leaves) - 1
    if others < 1:
        return
    count = max(1, int(fraction * others))
    targets = torch.randint(num_leaves, (9,), generator=generator)
    drawn = sample_popular(targets, popularity, count, generator)
    for target, row in zip(targets.tolist(), drawn.tolist(), strict=True):
        assert len(set(row)) == count
        assert target not in row
        assert set(row) <= set(training.tolist())


@pytest.mark.parametrize("count", [0, 8, 100])
def test_more_than_occur_are_refused(count) -> None:
    with pytest.raises(ValueError, match=rf"^count={count} negatives must lie in 1\.\.7, .*lower"):
        sample_popular(TARGETS[:2], Popularity.of(TARGETS), count)


def test_a_million_leaves_cost_no_key_each(monkeypatch) -> None:
    monkeypatch.setattr(weighted_negatives, "_draw_by_keys", None)
    generator = torch.Generator().manual_seed(0)
    popularity = Popularity.of(torch.arange(10**6))
    drawn = sample_popular(torch.arange(64), popularity, 100, generator)
    assert drawn.max() > 990_000
    assert drawn.min() < 10_000


def test_one_leaf_that_has_nearly_all_the_weight_is_no_endless_loop() -> None:
    popularity = Popularity(torch.arange(5), torch.tensor([1e15, 1, 2, 3, 4]).double().cumsum(0))
    drawn = sample_popular(torch.zeros(200, dtype=torch.int64), popularity, 4)
    assert (drawn.sort(dim=1).values == torch.arange(1, 5)).all()


def test_keys_are_drawn_in_blocks(monkeypatch) -> None:
    monkeypatch.setattr(weighted_negatives, "KEYS_AT_ONCE", 1)
    drawn = sample_in_batch(torch.tensor([0, 1, 2, 3]), 3)
    assert [sorted(row) for row in drawn.tolist()] == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_same_generator_state_gives_the_same_draws() -> None:
    popularity = Popularity.of(TARGETS)
    first, again = (
        sample_popular(TARGETS, popularity, 2, torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(first, again)
