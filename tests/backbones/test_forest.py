import torch

from beamwise.backbones.base import PrefixNodes
from beamwise.backbones.forest import Forest

NONE = torch.zeros(1, 0, dtype=torch.long)
# two roots, a child of each, a grandchild below the second, padding
PARENTS = torch.tensor([[-1, -1, 0, 1, 3, -1]])
DEPTH = torch.tensor([[0, 0, 1, 1, 2, -1]])
LENGTHS = torch.tensor([[4, 7, 4, 7, 7, -1]])


def nodes(first_of_depth=None):
    return PrefixNodes(torch.arange(6)[None], PARENTS, DEPTH, LENGTHS, first_of_depth)


def test_promised_roots_are_left_out():
    forest = Forest.of(nodes((0, 2, 4)), NONE, NONE[0])
    assert forest.nodes.tokens.tolist() == [[2, 3, 4, 5]]
    assert forest.parents.tolist() == [[-1, -1, 1, -1]]
    assert forest.nodes.depth.tolist() == [[0, 0, 1, -1]]
    assert forest.nodes.first_of_depth == (0, 2)
    assert forest.places.tolist() == [-1, -1, 0, 1, 2, 3]
    # children of roots stand right after 4 and 7 tokens, the grandchild one further
    assert forest.positions.tolist() == [[4, 7, 8, 0]]


def test_roots_that_nothing_promises_are_kept_and_replaced():
    forest = Forest.of(nodes(), NONE, NONE[0])
    assert forest.parents.tolist() == [[-1, -1, -1, -1, 3, -1]]
    computed = torch.ones(6, 2)
    placed = forest.placed(computed, torch.zeros(1, 6, 2))
    assert placed[0, :, 0].tolist() == [0, 0, 1, 1, 1, 0]


def test_roots_alone_leave_nothing_to_compute():
    roots = nodes((0, 2, 4)).map(lambda part: part[:, :2])
    for bounds in ((0,), (0, 2), None):
        promised = PrefixNodes(
            roots.tokens, roots.parents, roots.depth, roots.context_length, bounds
        )
        forest = Forest.of(promised, NONE, NONE[0])
        assert forest.num_new == 0
        assert forest.places.tolist() == [-1, -1]


def test_later_nodes_find_parents_of_earlier_calls():
    first = Forest.of(nodes((0, 2, 4)), NONE, NONE[0])
    below = PrefixNodes(
        torch.tensor([[9]]), torch.tensor([[4]]), torch.tensor([[3]]), torch.tensor([[7]])
    )
    later = Forest.of(below, first.parents, first.places)
    assert later.parents.tolist() == [[-1, -1, 1, -1, 2]]
    assert later.places.tolist() == [-1, -1, 0, 1, 2, 3, 4]
    assert later.positions.tolist() == [[9]]
