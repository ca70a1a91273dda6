"""Eligible items below nodes, against a walk over the items."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import Eligibility, ListedItems

CATALOG = Catalog.from_tokens([[3, 3], [2, 3], [2, 2], [2, 3]])
# Nodes: 0 root; 1 = (2), 2 = (3); 3 = (2 2), 4 = (2 3) of items 1 and 3, 5 = (3 3).
NODES = torch.arange(6)


def test_golden_by_user():
    eligible = torch.tensor([[False, False, False, True], [True, False, False, False]])
    rule = Eligibility(CATALOG, eligible)
    below = rule.below(torch.zeros_like(NODES), NODES)
    assert below.tolist() == [True, True, False, False, True, False]
    below = rule.below(torch.ones_like(NODES), NODES)
    assert below.tolist() == [True, False, True, False, False, True]
    items = torch.tensor([3, 3, 0])
    assert rule.of_items(torch.tensor([0, 1, 1]), items).tolist() == [True, False, True]


def test_shared_and_absent():
    rule = Eligibility(CATALOG, torch.tensor([False, False, True, False]))
    rows = torch.full_like(NODES, 7)
    assert rule.below(rows, NODES).tolist() == [True, True, False, True, False, False]
    assert rule.of_items(rows[:2], torch.tensor([2, 3])).tolist() == [True, False]
    assert Eligibility(CATALOG, None).below(rows, NODES).all()
    assert Eligibility(CATALOG, None).of_items(rows, NODES).all()


def test_retired_items_are_eligible_for_nobody():
    rows = torch.zeros_like(NODES)
    retired = CATALOG.with_retired(["1", "3"])  # all of the leaf (2 3)
    below = [True, True, True, True, False, True]
    assert Eligibility(retired, None).below(rows, NODES).tolist() == below
    assert Eligibility(retired, None).of_items(rows[:4], NODES[:4]).tolist() == [
        True, False, True, False,
    ]  # fmt: skip
    by_user = torch.tensor([[True, True, False, False]])
    below = [True, False, True, False, False, True]
    assert Eligibility(retired, by_user).below(rows, NODES).tolist() == below


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), only=st.booleans(), retires=st.booleans())
def test_lists_say_what_masks_say(seed, only, retires):
    generator = torch.Generator().manual_seed(seed)
    catalog = Catalog.from_tokens(torch.randint(2, 4, (9, 3), generator=generator))
    if retires:
        catalog = catalog.with_retired(["2", "5"])
    listed = torch.randint(-1, 9, (3, 7), generator=generator)  # repeats, and padding anywhere
    mask = torch.zeros(3, 10, dtype=torch.bool).scatter_(1, listed % 10, True)[:, :9]
    by_list = Eligibility(catalog, ListedItems(listed, only))
    by_mask = Eligibility(catalog, mask if only else ~mask)
    rows, nodes = torch.cartesian_prod(torch.arange(3), torch.arange(catalog.num_nodes)).unbind(1)
    assert torch.equal(by_list.below(rows, nodes), by_mask.below(rows, nodes))
    rows, items = torch.cartesian_prod(torch.arange(3), torch.arange(9)).unbind(1)
    assert torch.equal(by_list.of_items(rows, items), by_mask.of_items(rows, items))


@pytest.mark.parametrize("form", ["by item", "by user", "only", "but", "all"])
@pytest.mark.parametrize("retires", [False, True])
def test_some_of_the_users_are_allowed_what_they_were(form, retires):
    generator = torch.Generator().manual_seed(2)
    catalog = Catalog.from_codes(torch.randint(3, (20, 3), generator=generator), codebook_size=3)
    if retires:
        catalog = catalog.with_retired(["3", "11"])
    eligible = {
        "by item": torch.rand(20, generator=generator) < 0.2,
        "by user": torch.rand(4, 20, generator=generator) < 0.2,
        "only": ListedItems(torch.randint(-1, 20, (4, 3), generator=generator), only=True),
        "but": ListedItems(torch.randint(-1, 20, (4, 15), generator=generator), only=False),
        "all": None,
    }[form]
    whole, rows = Eligibility(catalog, eligible), torch.tensor([3, 0, 3])
    some = whole.of_rows(rows)
    assert some.is_everything == whole.is_everything
    place, nodes = torch.cartesian_prod(torch.arange(3), torch.arange(catalog.num_nodes)).unbind(1)
    assert torch.equal(some.below(place, nodes), whole.below(rows[place], nodes))
    items = nodes % 20
    assert torch.equal(some.of_items(place, items), whole.of_items(rows[place], items))


def test_lists_of_some_users():
    lists = ListedItems(torch.tensor([[0, -1], [1, 2]]), only=True)
    assert lists.ndim == 2
    assert lists[torch.tensor([1])].items.tolist() == [[1, 2]]
    assert not Eligibility(CATALOG, lists).is_everything
