import gc
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.sequences import prefix_levels
from beamwise.sequences.negatives import Candidates
from beamwise.sequences.prefix_levels import (
    Steps,
    num_prefixes,
    prefix_competition,
    prefix_lengths,
)
from beamwise.testing.tiny_catalogs import TITLES, random_semantic_ids
from beamwise.testing.title_like import title_like_catalog

BINCOUNT = torch.bincount


def test_golden():
    # Leaves [5,6,1], [5,6,7,1], [5,9,1], [8,1]; paths part after nothing, after 5 and after 5 6.
    leaves = torch.arange(4)
    steps = Steps.of(TITLES, leaves)
    assert steps.num_children.tolist() == [[2, 2, 2, 0], [2, 2, 2, 1], [2, 2, 1, 0], [2, 1, 0, 0]]
    assert steps.own.tolist() == [[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert steps.decided_after.tolist() == [3, 3, 2, 1]
    assert num_prefixes(TITLES) == 3
    assert num_prefixes(TITLES, 2) == 2
    assert num_prefixes(TITLES, 9) == 3
    lengths = [[1, 2, 3], [1, 2, 4], [1, 3, 0], [2, 0, 0]]
    assert prefix_lengths(TITLES, leaves, 3).tolist() == lengths
    assert prefix_lengths(TITLES, leaves, 2).tolist() == [row[:2] for row in lengths]


def test_competition_golden():
    # Target [5,6,7,1], prefixes 5, 56, 5671. Mined 5 6 is the target's own, then too short;
    # [5,6,1] ended before the third; a second [8,1] and none at all never count.
    leaves = torch.tensor([[1, 0, 0, 2, 3, 3, -1]])
    depths = torch.tensor([[4, 2, 3, 3, 2, 2, 0]])
    lengths = prefix_lengths(TITLES, leaves[:, 0], 3)
    counts, weights = prefix_competition(TITLES, Candidates(leaves, depths), lengths, "released")
    expected = [[1, 0, 0, 0, 1, 0, 0], [1, 0, 0, 1, 1, 0, 0], [1, 0, 1, 1, 1, 0, 0]]
    assert counts[0].T.int().tolist() == expected
    # prefixes of 1, 2 and 4 tokens, ended ones included: 5 8; 56 59 81; all four leaves
    for level, (total, counting) in enumerate([(2, 2), (3, 3), (4, 4)]):
        weight = math.log((total - 1) / counting)
        assert weights[0, 4, level] == pytest.approx(weight)
        assert weights[0, 0, level] == 0
    assert prefix_competition(TITLES, Candidates(leaves, depths), lengths)[1] is None


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_titles_equal_a_loop(seed):
    catalog = title_like_catalog(seed)
    paths = [tuple(t for t in path if t >= 0) for path in catalog.leaf_tokens.tolist()]
    generator = torch.Generator().manual_seed(seed)
    leaves = torch.randint(catalog.num_leaves, (3, 5), generator=generator)
    width = num_prefixes(catalog)
    lengths = prefix_lengths(catalog, leaves[:, 0], width)
    counts, _ = prefix_competition(catalog, Candidates(leaves), lengths)
    for row in range(3):
        target, *others = (paths[leaf] for leaf in leaves[row].tolist())
        parts = [
            t
            for t in range(len(target))
            if len({p[t] for p in paths if len(p) > t and p[:t] == target[:t]}) > 1
        ]
        ends = [*parts[1:], len(target)]
        assert lengths[row].tolist() == ends + [0] * (width - len(ends))
        for level, end in enumerate(ends):
            seen = {target[:end]}
            assert counts[row, 0, level]
            for column, other in enumerate(others, start=1):
                assert bool(counts[row, column, level]) == (other[:end] not in seen)
                seen.add(other[:end])
        assert not counts[row, :, len(ends) :].any()


def test_weights_of_finished_items_are_unbiased():
    # Every draw of 1 of the 3 others: the mean of what is counted, weighted, is all that competes.
    target = torch.tensor([1, 1, 1])
    lengths = prefix_lengths(TITLES, target, 3)
    drawn = torch.stack([target, torch.tensor([0, 2, 3])], 1)
    counts, weights = prefix_competition(TITLES, Candidates(drawn), lengths, "inverse-inclusion")
    total = (counts[:, 1] * weights[:, 1].exp()).mean(0)
    torch.testing.assert_close(total, torch.tensor([1.0, 2.0, 3.0]))


@given(seed=st.integers(0, 2**32 - 1))
def test_where_every_token_has_an_alternative_levels_are_tokens(seed):
    catalog = random_semantic_ids(seed)
    leaves = torch.arange(catalog.num_leaves)
    several = Steps.of(catalog, leaves).branching
    lengths = prefix_lengths(catalog, leaves, catalog.num_levels)
    everywhere = several.all(1)
    assert (lengths[everywhere] == torch.arange(1, catalog.num_levels + 1)).all()


def test_prefixes_are_counted_once_a_catalog(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "bincount", lambda *a, **how: calls.append(1) or BINCOUNT(*a, **how))
    target = torch.tensor([[1, 3]])
    weights = []
    for catalog in (title_like_catalog(3), title_like_catalog(4), title_like_catalog(3)):
        lengths = prefix_lengths(catalog, target[:, 0], 2)
        for _ in range(2):
            found = prefix_competition(catalog, Candidates(target), lengths, "released")
            weights.append(found[1])
        assert len(calls) == len(weights) // 2
    first, same, other, _, again, _ = weights
    assert torch.equal(first, same)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    before = len(prefix_levels._known_prefixes)
    del catalog
    gc.collect()
    assert len(prefix_levels._known_prefixes) < before


def test_one_path_is_one_prefix():
    catalog = Catalog.from_tokens([[3, 4, 5]])
    assert num_prefixes(catalog) == 1
    assert prefix_lengths(catalog, torch.tensor([0]), 1).tolist() == [[3]]
    assert Steps.of(catalog, torch.tensor([0])).decided_after.tolist() == [1]
