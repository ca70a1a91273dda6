import torch

from beamwise.backbones.base import History, PrefixNodes
from beamwise.backbones.forest import Forest
from beamwise.backbones.pretrained_context import (
    PretrainedCache,
    PretrainedContext,
    positions_of,
    roots_of,
    sight_of,
)

NODES = PrefixNodes(  # a root, 7 below it, 8 below 7, 9 below the root
    torch.tensor([[0, 7, 8, 9]]),
    torch.tensor([[-1, 0, 1, 0]]),
    torch.tensor([[0, 1, 2, 1]]),
    torch.tensor([[2, 2, 2, 2]]),
    (0, 1, 1),
)


def test_rows_are_selected_in_order():
    numbers = torch.arange(3.0).view(3, 1, 1, 1)
    rows = torch.tensor([2, 0])
    context = PretrainedContext((numbers,), (numbers,), numbers[..., 0], torch.tensor([4, 5, 6]))
    chosen = context.select(rows)
    assert chosen.keys[0].flatten().tolist() == chosen.values[0].flatten().tolist() == [2, 0]
    assert (chosen.hidden.flatten().tolist(), chosen.lengths.tolist()) == ([2, 0], [6, 4])
    cache = PretrainedCache(
        (numbers,), (numbers,), torch.tensor([[1], [2], [3]]), torch.tensor([-1, 0])
    ).select(rows)
    assert cache.keys[0].flatten().tolist() == cache.values[0].flatten().tolist() == [2, 0]
    assert (cache.parents.tolist(), cache.places.tolist()) == ([[3], [1]], [-1, 0])


def test_nodes_see_the_context_before_them_and_their_ancestors():
    none = NODES.parents[:, :0]
    forest = Forest.of(NODES, none, none.new_empty(0))
    context, nodes = sight_of(forest, torch.tensor([3]), 4)
    assert context.int().tolist() == [[[1, 1, 0, 0]] * 3]
    assert nodes.int().tolist() == [[[1, 0, 0], [1, 1, 0], [0, 0, 1]]]


def test_a_root_is_the_last_token_that_it_sees():
    hidden = torch.arange(5.0).view(1, 5, 1)
    nodes = NODES.map(lambda part: part)
    nodes.context_length[0] = torch.tensor([1, 3, 9, -1])
    assert roots_of(hidden, torch.tensor([4]), nodes).flatten().tolist() == [0, 2, 3, 0]


def test_positions_count_from_the_first_token():
    history = History(torch.zeros(2, 3, dtype=torch.int64), torch.tensor([3, 1]))
    assert positions_of(history).tolist() == [[0, 1, 2]] * 2
