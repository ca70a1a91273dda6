import hypothesis.strategies as st
import torch
from hypothesis import given

from beamwise.backbones.base import PrefixNodes
from beamwise.backbones.prefix_masks import ancestors_seen, context_seen, packed_mask


def test_ancestors_golden():
    # 0 and 1 hang on the root, 2 on 0, 3 on 2, 4 on 1; the last three are new
    parents = torch.tensor([[-1, -1, 0, 2, 1]])
    expected = [[1, 0, 1, 0, 0], [1, 0, 1, 1, 0], [0, 1, 0, 0, 1]]
    assert ancestors_seen(parents, 3, 3).int().tolist() == [expected]


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12), more=st.integers(0, 3))
def test_ancestors_are_those_that_a_loop_finds(seed, count, more):
    generator = torch.Generator().manual_seed(seed)
    drawn = [int(torch.randint(-1, i, (1,), generator=generator)) for i in range(count)]
    parents = torch.tensor([drawn])
    paths = []
    for node in range(count):
        path = {node}
        while (node := int(parents[0, node])) >= 0:
            path.add(node)
        paths.append(path)
    seen = ancestors_seen(parents, count, max(len(path) for path in paths) + more)
    assert [{i for i in range(count) if row[i]} for row in seen[0]] == paths
    new = count // 2
    if new:
        assert torch.equal(ancestors_seen(parents, new, count), seen[:, -new:])


def test_context_is_seen_up_to_its_length_and_padding_sees_a_token():
    lengths = torch.tensor([[2, 9, -1]])
    nodes = PrefixNodes(lengths, lengths, lengths, lengths)
    seen = context_seen(nodes, torch.tensor([3]), 4)
    assert seen.int().tolist() == [[[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]]]


def test_packed_rows_golden():
    context = torch.tensor([[[True, True], [True, False]]])
    nodes = torch.tensor([[[True, False], [True, True]]])
    expected = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 1, 1]]
    assert packed_mask(context, nodes).int().tolist() == [[expected]]
