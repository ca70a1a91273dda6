"""Full sort: the best leaves of all in the total order, at a part of the price of scoring all.

Equality with brute force is beside beam search.
"""

from __future__ import annotations

import math
import sys
from dataclasses import fields
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding import SearchResult, beam_search, full_sort
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.search import search
from beamwise.testing.table_backbone import TableBackbone

MODULE = sys.modules[full_sort.__module__]
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


def whole_tree(backbone, histories, catalog, top_k, mask="after", eligible=None) -> SearchResult:
    """A beam that nothing falls out of."""
    request = SearchRequest(backbone, histories, catalog, top_k, mask, eligible)
    return search(request, [catalog.num_nodes] * catalog.num_levels, chunk_size=3)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_values=st.sampled_from([None, None, 1, 2]),
    mask=st.sampled_from(["after", "before"]),
    eligible=st.sampled_from([None, "shared", "by user"]),
    later=st.booleans(),
    top_k=st.integers(1, 12),
    growth=st.sampled_from([2, 8]),
)
def test_equals_a_search_of_the_whole_tree(seed, num_values, mask, eligible, later, top_k, growth):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, 6, (60, 4), generator=generator)
    lengths = torch.randint(2, 5, (60,), generator=generator)
    catalog = Catalog.from_tokens(tokens, lengths, vocab_size=6)
    if later:  # steps that the model never saw, and items that are recommended no more
        trained = Catalog.from_tokens(tokens[:40], lengths[:40], vocab_size=6)
        catalog = catalog.seen_from(trained).with_retired(["3", "17", "50"])
    if eligible is not None:
        shape = (60,) if eligible == "shared" else (5, 60)
        eligible = torch.rand(shape, generator=generator) < 0.5
    histories = torch.randint(-1, 60, (5, 3), generator=generator).sort(dim=1, descending=True)
    backbone = TableBackbone(6, seed=seed % 1000, num_values=num_values)
    arguments = (backbone, histories.values, catalog, top_k, mask, eligible)
    with mock.patch.multiple(MODULE, LEAST_WIDTH=1, WIDTH_PER_RESULT=1, GROWTH=growth):
        found = full_sort(*arguments)
    expected = whole_tree(*arguments)
    assert found.exact.all()
    for field in fields(SearchResult):
        torch.testing.assert_close(getattr(found, field.name), getattr(expected, field.name))


class Counting(TableBackbone):
    """Counts the prefixes that a search has it compute."""

    def extend(self, context, nodes, cache=None):
        self.extended.append((len(nodes.tokens), int((nodes.depth >= 0).sum())))
        return super().extend(context, nodes, cache)


def counted(search_for, *arguments, **named) -> tuple[SearchResult, list[tuple[int, int]]]:
    backbone = Counting(2 + 3 * 16, seed=4)
    backbone.extended = []
    return search_for(backbone, *arguments, **named), backbone.extended


def large_problem() -> tuple[torch.Tensor, Catalog]:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(16, (3000, 3), generator=generator)
    return torch.randint(3000, (20, 4), generator=generator), Catalog.from_codes(codes, 16)


def test_computes_a_small_part_of_the_tree():
    histories, catalog = large_problem()
    found, extended = counted(full_sort, histories, catalog, top_k=5)
    expected, all_extended = counted(whole_tree, histories, catalog, 5)
    assert torch.equal(found.leaves, expected.leaves)
    assert found.exact.all()
    computed, tree = (sum(count for _, count in one) for one in (extended, all_extended))
    assert tree == 20 * (catalog.level_start[3])
    assert computed < tree / 2  # the first beam and the few that could win: 1,194 of 5,460


def test_memory_is_bounded_by_users_at_a_time(monkeypatch):
    histories, catalog = large_problem()
    monkeypatch.setattr(MODULE, "PREFIXES_AT_ONCE", 100)
    _, extended = counted(full_sort, histories, catalog, top_k=5)
    assert max(count for _, count in extended) <= 100
    monkeypatch.setattr(MODULE, "CHILDREN_AT_ONCE", 1100)  # 32 x 16 children a user: 2 users
    _, extended = counted(full_sort, histories, catalog, top_k=5)
    assert max(users for users, _ in extended) == 2


def test_one_level_of_many_items_is_ranked_some_users_at_a_time(monkeypatch):
    monkeypatch.setattr(MODULE, "CHILDREN_AT_ONCE", 100)
    catalog = Catalog.from_tokens(torch.arange(2, 50)[:, None])
    _, extended = counted(full_sort, torch.zeros(5, 1, dtype=torch.int64), catalog, top_k=3)
    assert [users for users, _ in extended] == [2, 2, 1]
