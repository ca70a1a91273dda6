"""Negatives: uniform draws, which prefixes compete, and unbiased weights."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, hypergeom

from beamwise.catalog import Catalog
from beamwise.sequences.negatives import (
    NegativesConfig,
    competition,
    log_inclusion_probability,
    sample_negatives,
)


@pytest.fixture
def catalog() -> Catalog:
    """Eight items on seven leaves of three levels; the first prefixes hold 4, 2 and 1 leaves."""
    codes = [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
        [0, 1, 1],
        [1, 0, 0],
        [1, 1, 0],
        [2, 0, 0],
        [2, 0, 0],
    ]
    return Catalog.from_codes(torch.tensor(codes), codebook_size=3)


@pytest.fixture
def titles() -> Catalog:
    """Paths of unequal length, closed by the end token: 2$, 23$ and 3$."""
    return Catalog.from_tokens([[2, 0], [2, 3], [3, 0]], lengths=[1, 2, 1])


@given(seed=st.integers(0, 2**32 - 1), num_leaves=st.integers(2, 40), fraction=st.floats(0.01, 1.0))
@settings(max_examples=60, deadline=None)
def test_draws_are_distinct_leaves_other_than_the_target(
    seed: int, num_leaves: int, fraction: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    count = max(1, int(fraction * (num_leaves - 1)))
    targets = torch.randint(num_leaves, (9,), generator=generator)
    negatives = sample_negatives(targets, num_leaves, count, generator)
    assert negatives.shape == (9, count)
    for target, row in zip(targets.tolist(), negatives.tolist(), strict=True):
        assert len(set(row)) == count
        assert target not in row
        assert min(row) >= 0
        assert max(row) < num_leaves


@pytest.mark.parametrize("num_leaves", [5, 8])  # a permutation, and redrawn repeats
def test_every_ordered_choice_is_equally_likely(num_leaves: int) -> None:
    generator = torch.Generator().manual_seed(7)
    targets = torch.full((40_000,), 2)
    count = 3
    negatives = sample_negatives(targets, num_leaves, count, generator)
    observed = Counter(map(tuple, negatives.tolist()))
    others = [leaf for leaf in range(num_leaves) if leaf != 2]
    choices = list(itertools.permutations(others, count))
    assert set(observed) <= set(choices)
    assert chisquare([observed[choice] for choice in choices]).pvalue > 0.01


def test_same_generator_state_gives_the_same_draws() -> None:
    targets = torch.arange(50)
    first, again = (
        sample_negatives(targets, 1000, 100, torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(first, again)


def test_a_huge_catalog_costs_no_array_of_its_size() -> None:
    targets = torch.tensor([0, 10**12 - 1])
    negatives = sample_negatives(targets, 10**12, 100, torch.Generator().manual_seed(0))
    assert negatives.shape == (2, 100)


@pytest.mark.parametrize("count", [0, 5, 6])
def test_more_negatives_than_other_leaves_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=rf"count={count} .* 1\.\.4.*num_leaves=5.*lower"):
        sample_negatives(torch.zeros(1, dtype=torch.int64), 5, count)


def naive_counts(catalog: Catalog, candidates: torch.Tensor) -> torch.Tensor:
    counts = torch.zeros(*candidates.shape, catalog.num_levels, dtype=torch.bool)
    paths = catalog.leaf_tokens.tolist()
    for row, leaves in enumerate(candidates.tolist()):
        for level in range(catalog.num_levels):
            seen = set()
            for column, leaf in enumerate(leaves):
                prefix = tuple(paths[leaf][: level + 1])
                counts[row, column, level] = prefix[-1] >= 0 and prefix not in seen
                seen.add(prefix)
    return counts


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_first_of_every_prefix_competes(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, 5, (30, 3), generator=generator)
    lengths = torch.randint(1, 4, (30,), generator=generator)
    catalog = Catalog.from_tokens(tokens, lengths)
    targets = torch.randint(catalog.num_leaves, (6,), generator=generator)
    count = min(8, catalog.num_leaves - 1)
    negatives = sample_negatives(targets, catalog.num_leaves, count, generator)
    candidates = torch.cat([targets[:, None], negatives], dim=1)
    counts, log_weights = competition(catalog, candidates)
    assert torch.equal(counts, naive_counts(catalog, candidates))
    assert log_weights is None


def test_competition_golden(titles: Catalog) -> None:
    # Leaves in order: 0 is 2$ (end first: token 1), 1 is 23$, 2 is 3$. Target 0, negatives 1 and 2.
    counts, _ = competition(titles, torch.tensor([[0, 1, 2]]))
    assert counts.tolist() == [
        [[True, True, False], [False, True, True], [True, True, False]],
    ]


def test_released_scaling_golden(catalog: Catalog) -> None:
    # Level 1 has 3 prefixes, level 2 has 5, level 3 has 7. Target 000, negatives 001, 010, 100.
    # Counting, target included: level 1 {0, 1}: 2; level 2 {00, 01, 10}: 3; level 3 all 4.
    counts, log_weights = competition(catalog, torch.tensor([[0, 1, 2, 4]]), "released")
    assert counts.int().tolist() == [[[1, 1, 1], [0, 0, 1], [0, 1, 1], [1, 1, 1]]]
    expected = torch.zeros(1, 4, 3)
    expected[0, 3] = torch.tensor([2 / 2, 4 / 3, 6 / 4]).log()
    expected[0, 2, 1:] = torch.tensor([4 / 3, 6 / 4]).log()
    expected[0, 1, 2] = math.log(6 / 4)
    torch.testing.assert_close(log_weights, expected)


@pytest.mark.parametrize("scaling", ["released", "inverse-inclusion"])
def test_weights_are_finite_where_one_prefix_is_all_there_is(scaling) -> None:
    catalog = Catalog.from_codes(torch.tensor([[0, 0], [0, 1]]), codebook_size=2)
    counts, log_weights = competition(catalog, torch.tensor([[0, 1]]), scaling)
    assert counts.tolist() == [[[True, True], [False, True]]]
    assert log_weights is not None
    assert log_weights.isfinite().all()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("target", [0, 6])
def test_inverse_inclusion_is_unbiased_over_all_draws(
    catalog: Catalog, count: int, target: int
) -> None:
    others = [leaf for leaf in range(catalog.num_leaves) if leaf != target]
    draws = torch.tensor(list(itertools.combinations(others, count)))
    candidates = torch.cat([torch.full((len(draws), 1), target), draws], dim=1)
    counts, log_weights = competition(catalog, candidates, "inverse-inclusion")
    assert log_weights is not None
    values = torch.arange(1.0, catalog.num_nodes + 1).sqrt()  # any value of a prefix will do
    nodes = catalog.leaf_nodes.long()
    drawn = values[nodes[candidates]] * log_weights.exp()
    expectation = drawn.where(counts, 0.0)[:, 1:].sum(1).mean(0)
    for level in range(catalog.num_levels):
        competitors = set(nodes[:, level].tolist()) - {int(nodes[target, level])}
        total = values[list(competitors)].sum()
        torch.testing.assert_close(expectation[level], total)


def test_inclusion_probability_is_hypergeometric() -> None:
    num_below = torch.tensor([1, 2, 17, 400, 901, 1000])
    log_probability = log_inclusion_probability(num_below, 1000, 100)
    expected = hypergeom(1000, num_below.numpy(), 100).sf(0)
    torch.testing.assert_close(log_probability.exp(), torch.from_numpy(expected))


def test_inclusion_probability_keeps_its_digits_in_a_huge_catalog() -> None:
    # One leaf of N is drawn with probability k / N exactly.
    log_probability = log_inclusion_probability(torch.tensor([1]), 10**8, 100)
    torch.testing.assert_close(log_probability, torch.tensor([1e-6]).double().log())


def test_settings_are_checked() -> None:
    assert NegativesConfig().count == 100
    with pytest.raises(ValueError, match="greater than 0"):
        NegativesConfig(count=0)
