"""Parts of a search's frontier: the best of every row within its limit, and users by themselves."""

from __future__ import annotations

from dataclasses import fields

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.decoding import SearchResult
from beamwise.decoding.frontier import Frontier, part_best
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.request import SearchRequest
from beamwise.testing.random_search import random_search


def prefixes_of(rows: list[int], log_probs: list[float]) -> Prefixes:
    nodes = torch.arange(len(rows))
    return Prefixes(torch.tensor(rows).long(), nodes, nodes, nodes, torch.tensor(log_probs))


def test_golden_parts():
    # Row 0 may keep one of -2, -1, -1: the first -1. Row 1 none, row 2 both of its two.
    some = prefixes_of([0, 0, 0, 1, 2, 2], [-2.0, -1.0, -1.0, -1.0, -5.0, -4.0])
    best, others = part_best(some, torch.tensor([1, 0, 2]))
    assert best.nodes.tolist() == [1, 4, 5]
    assert others.nodes.tolist() == [0, 2, 3]


def test_golden_parts_of_a_budget():
    # Row 0, best first: -1 costs 2, -2 costs 3, -3 costs 1. With 4 to spend the second does not
    # fit, and nothing after it is taken; with 5 the limit of two prefixes is what stops.
    some = prefixes_of([0, 0, 0], [-2.0, -1.0, -3.0])
    costs = torch.tensor([3, 2, 1])
    for budget, taken in ((1, []), (4, [1]), (5, [0, 1]), (9, [0, 1])):
        best, others = part_best(some, torch.tensor([2]), costs, torch.tensor([budget]))
        assert best.nodes.tolist() == taken
        assert others.nodes.tolist() == [node for node in range(3) if node not in taken]


def test_nothing_and_no_limit():
    some = prefixes_of([0, 1], [-1.0, -2.0])
    none = prefixes_of([], [])
    assert part_best(none, torch.tensor([0, 0]))[0].nodes.tolist() == []
    assert part_best(some, torch.tensor([0, 0]))[0].nodes.tolist() == []
    assert part_best(some, torch.tensor([0, 0]))[1].nodes.tolist() == [0, 1]
    assert part_best(some, torch.tensor([9, 9]))[0].nodes.tolist() == [0, 1]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 3))
def test_some_users_go_on_as_with_the_others(seed, width):
    s = random_search(seed)
    request = SearchRequest(s.backbone, s.histories, s.catalog, s.top_k, s.mask, s.eligible)
    everyone = torch.arange(len(s.histories))
    frontier = Frontier.after_beam(request, everyone, max_prefixes=50, width=width)
    rows = everyone.flip(0)[:2]
    some = frontier.of_rows(rows)
    for each in (frontier, some):
        each.advance(width)
    assert torch.equal(some.users, rows)
    assert torch.equal(some.num_scored, frontier.num_scored[rows])
    assert torch.equal(some.num_open(), frontier.num_open()[rows])
    both = (some.results(torch.arange(len(rows))), frontier.results(rows))
    for field in fields(SearchResult):
        torch.testing.assert_close(*(getattr(result, field.name) for result in both))
