import math

import torch

from beamwise.backbones.attention import Ancestry, RelativePositionBias, tree_attention
from beamwise.testing.backbone_conformance import random_tree


def masked_attention(queries, keys, values, nodes, bias):
    """The same by a dense score matrix in which all but a node and its ancestors is masked."""
    batch, count, heads, _ = queries.shape
    scores = torch.einsum("bnhd,bmhd->bhnm", queries, keys)
    allowed = torch.full((batch, count, count), -math.inf, dtype=queries.dtype)
    biases = torch.zeros(batch, heads, count, count, dtype=queries.dtype)
    for row in range(batch):
        for node in range(count):
            above, distance = node, 0
            while above >= 0:
                allowed[row, node, above] = 0
                biases[row, :, node, above] = bias[distance]
                above, distance = int(nodes.parents[row, above]), distance + 1
    weights = (scores + biases + allowed[:, None]).softmax(-1)
    return torch.einsum("bhnm,bmhd->bnhd", weights, values)


def test_equals_dense_attention_with_a_mask():
    nodes = random_tree(torch.tensor([3, 3]), 14, 9, seed=5)
    generator = torch.Generator().manual_seed(0)
    shape = (2, 14, 3, 4)
    queries, keys, values = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    bias = torch.randn(14, 3, generator=generator, dtype=torch.float64)
    ancestry = Ancestry.of(nodes, nodes.parents)
    torch.testing.assert_close(
        tree_attention(queries, keys, values, ancestry, bias),
        masked_attention(queries, keys, values, nodes, bias),
    )


def test_a_root_alone_returns_its_value():
    nodes = random_tree(torch.tensor([1]), 1, 9, seed=0)
    values = torch.randn(1, 1, 2, 3)
    ancestry = Ancestry.of(nodes, nodes.parents)
    attended = tree_attention(values, values, values, ancestry, torch.zeros(1, 2))
    torch.testing.assert_close(attended, values)


def test_buckets_are_exact_near_and_merge_far():
    bias = RelativePositionBias(num_buckets=8, max_distance=16, num_heads=1, bidirectional=True)
    # 4 buckets a side: 0, 1 exact; 2.. by logarithm up to 16; keys after the query from bucket 4
    assert bias.bucket(torch.tensor([0, -1, -2, -16, -99])).tolist() == [0, 1, 2, 3, 3]
    assert bias.bucket(torch.tensor([1, 2, 16, 99])).tolist() == [5, 6, 7, 7]


def test_a_decoder_never_looks_ahead():
    bias = RelativePositionBias(num_buckets=8, max_distance=16, num_heads=1, bidirectional=False)
    assert bias.bucket(torch.tensor([5, 1, 0, -1, -3])).tolist() == [0, 0, 0, 1, 3]
