"""Full sort: all leaves in the total order; equality with brute force is beside beam search."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search, full_sort
from beamwise.testing.table_backbone import TableBackbone

CATALOG = Catalog.from_codes(torch.tensor([[0, 1], [1, 0], [1, 1], [0, 1]]), codebook_size=2)


def test_lists_every_item_once_and_pads():
    result = full_sort(TableBackbone(6, seed=5), torch.tensor([[0], [2]]), CATALOG, top_k=6)
    assert result.exact.all()
    for row in result.items.tolist():
        assert sorted(row[:4]) == [0, 1, 2, 3]
        assert row[4:] == [-1, -1]
    assert (result.leaves[:, 3:] == -1).all()
    assert (result.log_probs[:, :4].diff(dim=1) <= 0).all()


def test_probabilities_of_a_complete_tree_sum_to_one():
    codes = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    catalog = Catalog.from_codes(codes, codebook_size=3)
    result = full_sort(
        TableBackbone(8, seed=2), torch.tensor([[4, 1]]), catalog, top_k=9, mask="before"
    )
    total = result.leaf_log_probs.exp().sum().item()
    assert math.isclose(total, 1.0, rel_tol=1e-12)


def test_refuses_top_k_zero():
    with pytest.raises(ValueError, match="top_k must be >= 1, got 0"):
        full_sort(TableBackbone(6), torch.tensor([[0]]), CATALOG, top_k=0)


def test_golden_steps_that_the_model_never_saw():
    # Trained: 00, 01, 10. Later: two items 11 beside the one 10, and 20 below a prefix that is new.
    trained = Catalog.from_codes(torch.tensor([[0, 0], [0, 1], [1, 0]]), codebook_size=3)
    codes = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [2, 0]])
    later = Catalog.from_codes(codes, codebook_size=3)
    histories = torch.tensor([[0, 2]])
    backbone = TableBackbone(8, seed=3)
    before = full_sort(backbone, histories, trained, top_k=3)
    plain = full_sort(backbone, histories, later, top_k=6)
    found = full_sort(backbone, histories, later.seen_from(trained), top_k=6)
    scores = dict(zip(found.items[0].tolist(), found.log_probs[0].tolist(), strict=True))
    for item, score in zip(before.items[0].tolist(), before.log_probs[0].tolist(), strict=True):
        assert scores[item] == score
    history = backbone.encode_histories(histories, later).tokens[0].tolist()
    logits = torch.tensor(backbone.next_token_logits(history, ()), dtype=torch.float64)
    first = torch.log_softmax(logits, 0)
    one = first[3].item()  # code 1 of level 1 is token 2 + 1
    assert scores[3] == scores[4] == pytest.approx(one + math.log(2 / 3))
    assert scores[5] == pytest.approx(math.log(1 / 6))
    assert set(plain.items[0].tolist()) == set(scores)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), beam_width=st.integers(1, 6))
def test_exact_holds_with_steps_that_the_model_never_saw(seed, beam_width):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 3, (12, 3), generator=generator)
    later = Catalog.from_codes(codes, codebook_size=3)
    trained = Catalog.from_codes(codes[:6], codebook_size=3)
    catalog = later.seen_from(trained)
    backbone = TableBackbone(catalog.vocab_size, seed=seed % 1000)
    histories = torch.tensor([[0, 7], [3, -1]])
    beam = beam_search(backbone, histories, catalog, beam_width=beam_width)
    best = full_sort(backbone, histories, catalog, top_k=beam_width)
    assert torch.equal(beam.leaves[beam.exact], best.leaves[beam.exact])
    assert (best.leaf_log_probs[best.leaves >= 0] <= 0).all()
