"""Negatives: settings, uniform draws, which prefixes compete, and unbiased weights."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from beamwise.catalog import Catalog
from beamwise.sequences.negatives import (
    SCALINGS,
    Candidates,
    NegativesConfig,
    competition,
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


def naive(catalog: Catalog, candidates: Candidates) -> tuple[torch.Tensor, torch.Tensor]:
    """Which prefixes count, and which candidates are items, with sets of tuples."""
    counts = torch.zeros(*candidates.leaves.shape, catalog.num_levels, dtype=torch.bool)
    is_item = torch.zeros(candidates.leaves.shape, dtype=torch.bool)
    paths = [tuple(t for t in path if t >= 0) for path in catalog.leaf_tokens.tolist()]
    for row, leaves in enumerate(candidates.leaves.tolist()):
        seen = set()
        for column, leaf in enumerate(leaves):
            if leaf < 0:
                continue
            depths = candidates.depths
            depth = len(paths[leaf]) if depths is None else int(depths[row, column])
            is_item[row, column] = depth == len(paths[leaf]) and ("item", leaf) not in seen
            if depth == len(paths[leaf]):
                seen.add(("item", leaf))
            for level in range(depth):
                prefix = paths[leaf][: level + 1]
                counts[row, column, level] = prefix not in seen
                seen.add(prefix)
    return counts, is_item


def random_titles(generator: torch.Generator) -> Catalog:
    tokens = torch.randint(2, 5, (30, 3), generator=generator)
    return Catalog.from_tokens(tokens, torch.randint(1, 4, (30,), generator=generator))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_first_of_every_prefix_competes(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    catalog = random_titles(generator)
    targets = torch.randint(catalog.num_leaves, (6,), generator=generator)
    count = min(8, catalog.num_leaves - 1)
    negatives = sample_negatives(targets, catalog.num_leaves, count, generator)
    candidates = Candidates(torch.cat([targets[:, None], negatives], dim=1))
    found = competition(catalog, candidates)
    counts, is_item = naive(catalog, candidates)
    assert torch.equal(found.counts, counts)
    assert torch.equal(found.is_item, is_item)
    assert found.is_item.all()
    assert found.log_weights is None


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_prefixes_repeats_and_gaps_compete_as_the_naive_loop_has_it(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    catalog = random_titles(generator)
    leaves = torch.randint(-1, catalog.num_leaves, (6, 9), generator=generator)
    leaves[:, 0].clamp_(min=0)
    lengths = (catalog.leaf_nodes[leaves.clamp(min=0)] >= 0).sum(-1)
    depths = (torch.rand(leaves.shape, generator=generator) * lengths).long() + 1
    depths[:, 0] = lengths[:, 0]
    depths[leaves < 0] = 0
    candidates = Candidates(leaves, depths)
    found = competition(catalog, candidates)
    counts, is_item = naive(catalog, candidates)
    assert torch.equal(found.counts, counts)
    assert torch.equal(found.is_item, is_item)


def test_mined_prefix_golden(catalog: Catalog) -> None:
    # Target 000. Prefix 01, named by 011, competes at two levels of which the first, 0, is the
    # target's. The item 011 then adds its last token; 1, named by 100, adds its first; the item 100
    # is one although the prefix 1 was named by it; none and the target again add nothing.
    leaves = torch.tensor([[0, 3, 3, 4, 4, -1, 0]])
    depths = torch.tensor([[3, 2, 3, 1, 3, 0, 3]])
    found = competition(catalog, Candidates(leaves, depths))
    assert found.counts.int().tolist() == [
        [[1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 0]]
    ]
    assert found.is_item.int().tolist() == [[1, 0, 1, 0, 1, 0, 0]]


def test_rows_and_device_of_candidates() -> None:
    candidates = Candidates(
        torch.tensor([[0, 1], [2, 3], [4, 5]]), torch.ones(3, 2, dtype=torch.int64)
    )
    chosen = candidates.rows(torch.tensor([2, 0])).to(torch.device("cpu"))
    assert chosen.leaves.tolist() == [[4, 5], [0, 1]]
    whole = Candidates(candidates.leaves).to(torch.device("meta")).rows(torch.tensor([1]))
    assert whole.leaves.device.type == "meta"
    assert whole.depths is None


def test_competition_golden(titles: Catalog) -> None:
    # Leaves in order: 0 is 2$ (end first: token 1), 1 is 23$, 2 is 3$. Target 0, negatives 1 and 2.
    found = competition(titles, Candidates(torch.tensor([[0, 1, 2]])))
    assert found.counts.tolist() == [
        [[True, True, False], [False, True, True], [True, True, False]],
    ]


def test_released_scaling_golden(catalog: Catalog) -> None:
    # Level 1 has 3 prefixes, level 2 has 5, level 3 has 7. Target 000, negatives 001, 010, 100.
    # Counting, target included: level 1 {0, 1}: 2; level 2 {00, 01, 10}: 3; level 3 all 4.
    found = competition(catalog, Candidates(torch.tensor([[0, 1, 2, 4]])), "released")
    assert found.counts.int().tolist() == [[[1, 1, 1], [0, 0, 1], [0, 1, 1], [1, 1, 1]]]
    expected = torch.zeros(1, 4, 3)
    expected[0, 3] = torch.tensor([2 / 2, 4 / 3, 6 / 4]).log()
    expected[0, 2, 1:] = torch.tensor([4 / 3, 6 / 4]).log()
    expected[0, 1, 2] = math.log(6 / 4)
    torch.testing.assert_close(found.log_weights, expected)


@pytest.mark.parametrize("scaling", ["released", "inverse-inclusion"])
def test_weights_are_finite_where_one_prefix_is_all_there_is(scaling) -> None:
    catalog = Catalog.from_codes(torch.tensor([[0, 0], [0, 1]]), codebook_size=2)
    found = competition(catalog, Candidates(torch.tensor([[0, 1, -1]])), scaling)
    assert found.counts.tolist() == [[[True, True], [False, True], [False, False]]]
    assert found.log_weights is not None
    assert found.log_weights.isfinite().all()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("target", [0, 6])
def test_inverse_inclusion_is_unbiased_over_all_draws(
    catalog: Catalog, count: int, target: int
) -> None:
    others = [leaf for leaf in range(catalog.num_leaves) if leaf != target]
    draws = torch.tensor(list(itertools.combinations(others, count)))
    candidates = torch.cat([torch.full((len(draws), 1), target), draws], dim=1)
    found = competition(catalog, Candidates(candidates), "inverse-inclusion")
    assert found.log_weights is not None
    values = torch.arange(1.0, catalog.num_nodes + 1).sqrt()  # any value of a prefix will do
    nodes = catalog.leaf_nodes.long()
    drawn = values[nodes[candidates]] * found.log_weights.exp()
    expectation = drawn.where(found.counts, 0.0)[:, 1:].sum(1).mean(0)
    for level in range(catalog.num_levels):
        competitors = set(nodes[:, level].tolist()) - {int(nodes[target, level])}
        total = values[list(competitors)].sum()
        torch.testing.assert_close(expectation[level], total)


def test_settings_are_checked() -> None:
    assert NegativesConfig().count == 100
    assert NegativesConfig().source == "uniform"
    with pytest.raises(ValueError, match="greater than 0"):
        NegativesConfig(count=0)


@pytest.mark.parametrize("source", list(SCALINGS))
@pytest.mark.parametrize("scaling", ["none", "released", "inverse-inclusion"])
def test_only_scalings_that_fit_the_source_are_accepted(source, scaling) -> None:
    if scaling in SCALINGS[source]:
        assert NegativesConfig(source=source, scaling=scaling).scaling == scaling
        return
    with pytest.raises(ValueError, match=f"scaling '{scaling}' does not fit source '{source}'"):
        NegativesConfig(source=source, scaling=scaling)


@pytest.mark.parametrize(
    ("setting", "value", "source"),
    [("exponent", 0.5, "popular"), ("beam_width", 10, "beam"), ("mine_every", 1, "beam")],
)
def test_settings_of_another_source_are_refused(setting, value, source) -> None:
    assert getattr(NegativesConfig(**{"source": source, setting: value}), setting) == value
    message = f"{setting}={value} is for source '{source}', got source 'in-batch': set source="
    with pytest.raises(ValueError, match=message):
        NegativesConfig(**{"source": "in-batch", setting: value})


def test_settings_written_in_full_are_read_again() -> None:
    config = NegativesConfig(source="popular", exponent=1.0)
    assert NegativesConfig(**config.model_dump()) == config
