"""Scorers that part: fewer users, and branches of the tree that do not know each other."""

from __future__ import annotations

import torch

from beamwise.catalog import Catalog
from beamwise.decoding.branches import BranchingScorer, eligibility_of
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.request import SearchRequest
from beamwise.testing.table_backbone import TableBackbone

CATALOG = Catalog.from_codes(torch.cartesian_prod(*[torch.arange(3)] * 3), codebook_size=3)
REQUEST = SearchRequest(
    TableBackbone(CATALOG.vocab_size), torch.tensor([[4, 5], [6, -1]]), CATALOG, 1, "after",
    torch.tensor([[True] * 27, [False] * 9 + [True] * 18]),
)  # fmt: skip
USERS = torch.arange(2)


def started(users: torch.Tensor) -> tuple[BranchingScorer, Prefixes]:
    """A scorer of some users, and the prefixes of one token."""
    backbone = REQUEST.backbone
    eligibility = eligibility_of(REQUEST, users)
    context = backbone.read(backbone.encode_histories(REQUEST.histories[users], CATALOG))
    scorer = BranchingScorer(backbone, context, CATALOG, "after", eligibility)
    return scorer, scorer.expand(Prefixes.roots(CATALOG, len(users)), 0)


def test_eligibility_is_that_of_the_users():
    second = eligibility_of(REQUEST, torch.tensor([1]))
    assert second.below(torch.tensor([0, 0]), torch.tensor([1, 2])).tolist() == [False, True]


def test_one_of_the_users_alone():
    scorer, children = started(USERS)
    assert children.rows.tolist() == [0, 0, 0, 1, 1]
    alone = scorer.of_rows(torch.tensor([1]), eligibility_of(REQUEST, torch.tensor([1])))
    own = children.where(children.rows == 1)
    own = Prefixes(own.rows * 0, own.parents, own.tokens, own.nodes, own.log_probs)
    found, expected = alone.expand(own, 1), scorer.expand(children, 1)
    assert torch.equal(found.log_probs, expected.log_probs[expected.rows == 1])
    assert torch.equal(found.nodes, expected.nodes[expected.rows == 1])


def test_prefixes_of_several_depths_together():
    scorer, first = started(USERS)
    pairs = scorer.branch().expand(first.where(first.nodes == 2), 1)  # below prefix 1 of both
    expected = [scorer.branch().expand(first.where(first.nodes != 2), 1)]
    after = scorer.branch()
    after.expand(first.where(first.nodes == 2), 1)
    deeper = after.branch()
    expected.append(after.expand(pairs, 2))
    mixed = Prefixes.joined([first.where(first.nodes != 2), pairs])
    order = (mixed.rows * CATALOG.num_nodes + mixed.nodes).argsort()
    mixed = mixed.where(order)
    found = deeper.expand_together(mixed)
    joined = Prefixes.joined(expected)
    order = (joined.rows * CATALOG.num_nodes + joined.nodes).argsort()
    assert torch.equal(found.nodes, joined.nodes[order])
    torch.testing.assert_close(found.log_probs, joined.log_probs[order])


def test_a_branch_is_not_known_to_the_others():
    scorer, children = started(USERS[:1])
    expected = scorer.branch().expand(children, 1)
    for node in (3, 1, 2):
        part = children.where(children.nodes == node)
        branch = scorer.branch()
        found = branch.expand(part, 1)
        below = expected.where(CATALOG.leaf_start[expected.nodes] // 9 == node - 1)
        assert torch.equal(found.log_probs, below.log_probs)
        deeper = branch.expand(found, 2)
        assert torch.isfinite(deeper.log_probs).all()
        assert len(deeper.nodes) == 9
