"""Scoring along forced runs: which trees, at what cost, and the scores of every prefix passed."""

from __future__ import annotations

import math

import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.decoding.branches import BranchingScorer, eligibility_of
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.runs import RunScorer, follows_runs, scorer_of
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_semantic_ids, random_titles

CATALOG = Catalog.from_tokens(
    [[2, 3, 4, 4, 4, 4, 4], [2, 3, 5, 4, 4, 4, 4], [6, 3, 4, 4, 4, 4, 4]], lengths=[7, 7, 7]
)
"""The root parts into 2 and 6, 2 3 into 4 and 5; of the nodes 1 is 2, 2 is 6 and 5 is 2 3 4."""
PATHS = [[2, 3, 4, 4, 4, 4, 4, 1], [2, 3, 5, 4, 4, 4, 4, 1], [6, 3, 4, 4, 4, 4, 4, 1]]


def scorer(mask: str) -> BranchingScorer:
    backbone = TableBackbone(CATALOG.vocab_size, seed=1)
    request = SearchRequest(backbone, torch.full((1, 1), -1), CATALOG, 1, mask, None)
    context = backbone.read(backbone.encode_histories(request.histories, CATALOG))
    return scorer_of(request, context, eligibility_of(request, torch.arange(1)))


def test_the_shape_of_the_tree_decides():
    assert follows_runs(CATALOG)
    assert follows_runs(random_titles(0))
    assert isinstance(scorer("after"), RunScorer)
    codes = torch.arange(200)[:, None].expand(-1, 7)  # of one branching and seven tokens
    assert not follows_runs(Catalog.from_codes(codes[:, :4], 200))  # as semantic IDs: few levels
    assert not follows_runs(Catalog.from_codes(codes, 200))
    assert follows_runs(Catalog.from_codes(codes, 200, end_token=True))
    dense = torch.cartesian_prod(*[torch.arange(2)] * 8)
    assert not follows_runs(Catalog.from_codes(dense, 2))  # eight levels, and each branches
    assert not follows_runs(random_semantic_ids(0))


def test_costs_and_results():
    nodes = torch.tensor([0, 1, 2, 5])
    # the root alone; 2 and 2 3; all but the leaf at depth 8 of what is certain
    assert scorer("before").costs(nodes).tolist() == [1, 2, 7, 5]
    assert scorer("before").is_result(nodes).tolist() == [False, False, True, True]
    assert not scorer("after").is_result(nodes).any()
    leaf = CATALOG.leaf_nodes[:, -1].long()
    assert scorer("after").is_result(leaf).all()


@pytest.mark.parametrize("mask", ["after", "before"])
def test_every_prefix_is_passed_with_its_score(mask):
    some = scorer(mask)
    roots = Prefixes.roots(CATALOG, 1)
    found: dict[int, float] = {0: 0.0}
    todo = [roots]
    while todo:
        prefixes = todo.pop()
        children, passed = some.expand_wholly(prefixes, 0)
        for part in (children, passed):
            found |= dict(zip(part.nodes.tolist(), part.log_probs.tolist(), strict=True))
        inner = children.where(~some.is_result(children.nodes))
        if len(inner.rows):
            todo.append(inner)
    assert sorted(found) == list(range(CATALOG.num_nodes))
    for leaf, path in enumerate(sorted(PATHS)):
        total = 0.0
        for depth, token in enumerate(path):
            logits = torch.tensor(TableBackbone(7, seed=1).next_token_logits([1], path[:depth]))
            legal = {other[depth] for other in PATHS if other[:depth] == path[:depth]}
            kept = logits if mask == "after" else logits[sorted(legal)]
            total += float(logits[token] - kept.double().logsumexp(0))
            node = int(CATALOG.leaf_nodes[leaf, depth])
            assert math.isclose(found[node], total, abs_tol=1e-5)
