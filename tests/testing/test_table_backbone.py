"""The table backbone: its tensors equal its plain integers, and it notices wrong arguments."""

from __future__ import annotations

import pytest
import torch

from beamwise.backbones.base import History, PrefixNodes
from beamwise.testing.table_backbone import TableBackbone

HISTORY = History(torch.tensor([[5, 3, 1], [1, 9, 9]]), torch.tensor([3, 1]))
# Row 0: the empty prefix, (2), (2 4), (3). Row 1: the empty prefix, (4), then padding.
TREE = PrefixNodes(
    tokens=torch.tensor([[0, 2, 4, 3], [0, 4, -1, -1]]),
    parents=torch.tensor([[-1, 0, 1, 0], [-1, 0, -1, -1]]),
    depth=torch.tensor([[0, 1, 2, 1], [0, 1, -1, -1]]),
    context_length=torch.tensor([[3, 3, 3, 3], [1, 1, -1, -1]]),
)
PREFIXES = [[(), (2,), (2, 4), (3,)], [(), (4,)]]


@pytest.mark.parametrize("num_values", [None, 2])
def test_tensors_equal_plain_integers(num_values):
    backbone = TableBackbone(7, seed=11, num_values=num_values)
    logits = backbone.logits(backbone(HISTORY, TREE))
    for row, (tokens, prefixes) in enumerate(zip([[5, 3, 1], [1]], PREFIXES, strict=True)):
        for column, prefix in enumerate(prefixes):
            assert logits[row, column].tolist() == backbone.next_token_logits(tokens, prefix)
    some = torch.tensor([6, 2])
    assert torch.equal(backbone.logits(backbone(HISTORY, TREE), some), logits[..., some])


def columns(part: slice) -> PrefixNodes:
    """Some columns of the tree, its rows in the other order."""
    arrays = (TREE.tokens, TREE.parents, TREE.depth, TREE.context_length)
    tokens, parents, depth, context_length = (array.flip(0)[:, part] for array in arrays)
    return PrefixNodes(tokens, parents, depth, context_length)


def test_extend_in_two_steps_equals_one():
    backbone = TableBackbone(7)
    context = backbone.read(HISTORY).select(torch.tensor([1, 0]))
    first, cache = backbone.extend(context, columns(slice(0, 2)))
    second, _ = backbone.extend(context, columns(slice(2, 4)), cache)
    whole, _ = backbone.extend(context, columns(slice(0, 4)))
    assert torch.equal(torch.cat([first, second], 1), whole)


def test_every_argument_of_a_node_matters():
    backbone = TableBackbone(7)
    true = backbone(HISTORY, TREE)[0, 2].item()
    for name in ("tokens", "context_length"):
        arrays = {field: getattr(TREE, field).clone() for field in
                  ("tokens", "parents", "depth", "context_length")}  # fmt: skip
        arrays[name][0, 2] -= 1
        assert backbone(HISTORY, PrefixNodes(**arrays))[0, 2].item() != true


@pytest.mark.parametrize("num_values", [1, 3])
def test_ties_take_few_values(num_values):
    logits = TableBackbone(50, num_values=num_values).next_token_logits([1], [])
    assert len(set(logits)) == num_values


def test_breaking_the_promises_of_prefix_nodes_is_noticed():
    arrays = (TREE.tokens, TREE.parents, TREE.depth, TREE.context_length)
    with pytest.raises(AssertionError, match="deeper than first_of_depth"):
        TableBackbone(7)(HISTORY, PrefixNodes(*arrays, first_of_depth=(0, 0)))
    with pytest.raises(AssertionError, match="depth 1 begins before 2"):
        TableBackbone(7)(HISTORY, PrefixNodes(*arrays, first_of_depth=(0, 2, 2)))
