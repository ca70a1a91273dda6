"""Simulated beams equal real ones: ties, titles, collisions, retired items, both masks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search, full_sort, node_log_probs
from beamwise.evaluation.survival_tree import ScoredTree
from beamwise.testing.table_backbone import TableBackbone


def random_catalog(seed: int, *, titles: bool, retired: bool) -> Catalog:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 3, (14, 4), generator=generator)
    if titles:
        lengths = torch.randint(1, 5, (14,), generator=generator)
        catalog = Catalog.from_tokens(codes + 2, lengths)
    else:
        catalog = Catalog.from_codes(codes, codebook_size=3)
    return catalog.with_retired(["1", "5"]) if retired else catalog


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 8),
    num_values=st.sampled_from([None, None, 1, 2]),
    mask=st.sampled_from(["after", "before"]),
    titles=st.booleans(),
    retired=st.booleans(),
)
def test_a_simulated_beam_is_the_real_one(seed, width, num_values, mask, titles, retired):
    catalog = random_catalog(seed, titles=titles, retired=retired)
    backbone = TableBackbone(catalog.vocab_size, seed % 1000, num_values)
    histories = torch.tensor([[0, 3], [2, -1], [7, 7]])
    tree = ScoredTree(catalog, node_log_probs(backbone, histories, catalog, mask))
    beam = tree.beam(width)
    leaves, scores = tree.best_leaves(width, beam.lives)
    real = beam_search(backbone, histories, catalog, width, mask=mask)
    assert torch.equal(leaves, real.leaves)
    torch.testing.assert_close(scores, real.leaf_log_probs)
    assert torch.equal(beam.is_exact(scores[:, -1]), real.exact)
    best = full_sort(backbone, histories, catalog, top_k=9, mask=mask)
    assert torch.equal(tree.best_leaves(9)[0], best.leaves)


def golden_tree() -> ScoredTree:
    # Codes 00, 01, 10, 11, 20. Nodes: root; 0, 1, 2; then the five leaves in this order.
    catalog = Catalog.from_codes(
        torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]]), codebook_size=3
    )
    shares = [1.0, 0.5, 0.3, 0.2, 0.26, 0.24, 0.15, 0.15, 0.2]
    return ScoredTree(catalog, torch.tensor([shares]).log())


def test_golden():
    # A beam of 2 keeps 0 and 1 and drops 2 (0.2), so leaf 4 (0.2), third of all, is lost.
    tree = golden_tree()
    beam = tree.beam(2)
    assert beam.lives[0].tolist() == [True, True, True, False, True, True, True, True, False]
    assert beam.best_dropped.item() == pytest.approx(math.log(0.2))
    assert tree.best_leaves(3)[0].tolist() == [[0, 1, 4]]
    assert tree.best_leaves(3, beam.lives)[0].tolist() == [[0, 1, 2]]  # 2 and 3 tie: the lower
    kth = tree.best_leaves(2, beam.lives)[1][:, -1]
    assert beam.is_exact(kth).item()  # 0.24 is above 0.2
    assert not beam.is_exact(tree.best_leaves(3, beam.lives)[1][:, -1]).item()  # 0.15 is not
    assert not tree.beam(3).best_dropped.isfinite().any()


def test_missing_leaves_are_padded():
    leaves, scores = golden_tree().best_leaves(7)
    assert leaves[0, 5:].tolist() == [-1, -1]
    assert scores[0, 5:].tolist() == [-math.inf, -math.inf]


def test_leaves_compete_at_the_last_level_only():
    catalog = Catalog.from_tokens(torch.tensor([[2, 0], [3, 2]]), lengths=[1, 2])
    scores = torch.zeros(1, catalog.num_nodes)
    tree = ScoredTree(catalog, scores)
    # Paths are 2 1 and 3 2 1 with the end token: at level 2, the first is a leaf.
    assert tree.competitors(2).tolist() == [[-math.inf, 0.0]]
    assert tree.competitors(3).tolist() == [[0.0, 0.0]]


def test_a_width_below_one_is_refused():
    with pytest.raises(ValueError, match="beam_width must be >= 1, got 0"):
        golden_tree().beam(0)
