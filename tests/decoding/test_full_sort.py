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


@pytest.mark.parametrize("mask", ["after", "before"])
def test_golden_steps_that_the_model_never_saw(mask):
    # Trained: 00, 01, 10. Later: two items 11 beside the one 10, and 20 below a prefix that is new.
    # From the root 5 of 6 items are below known steps; below 1 it is 1 of 3.
    trained = Catalog.from_codes(torch.tensor([[0, 0], [0, 1], [1, 0]]), codebook_size=3)
    codes = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [2, 0]])
    later = Catalog.from_codes(codes, codebook_size=3)
    histories = torch.tensor([[0, 2]])
    backbone = TableBackbone(8, seed=3)

    def scores(catalog: Catalog) -> list[float]:
        found = full_sort(backbone, histories, catalog, top_k=catalog.num_items, mask=mask)
        by_item = dict(zip(found.items[0].tolist(), found.log_probs[0].tolist(), strict=True))
        return [by_item[item] for item in range(catalog.num_items)]

    before, after = scores(trained), scores(later.seen_from(trained))
    known = math.log(5 / 6)
    assert after[:2] == pytest.approx([score + known for score in before[:2]])
    assert after[2] == pytest.approx(before[2] + known + math.log(1 / 3))
    history = backbone.encode_histories(histories, later).tokens[0].tolist()
    logits = torch.tensor(backbone.next_token_logits(history, ()), dtype=torch.float64)
    logits = logits if mask == "after" else logits[2:4]  # codes 0 and 1 are tokens 2 and 3
    one = torch.log_softmax(logits, 0)[3 if mask == "after" else 1].item()
    assert after[3] == after[4] == pytest.approx(one + known + math.log(2 / 3))
    assert after[5] == pytest.approx(math.log(1 / 6))
    if mask == "before":  # 11 is one leaf of two items
        assert sum(math.exp(score) for score in after) - math.exp(after[3]) == pytest.approx(1)


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
