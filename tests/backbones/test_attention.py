import math

import torch

from beamwise.backbones.attention import (
    Ancestry,
    RelativePositionBias,
    Sight,
    causal_attention,
    prefix_attention,
    tree_attention,
)
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


def naive_prefix_attention(row, node, queries, context, nodes, tree):
    """One node of one row: a softmax over what it sees, in a loop."""
    seen = [pair[row, :, : int(tree.context_length[row, node])] for pair in context]
    above = node
    while above >= 0:
        added = (part[row, above][:, None] for part in nodes)
        seen = [torch.cat(both, 1) for both in zip(seen, added, strict=True)]
        above = int(tree.parents[row, above])
    scores = torch.einsum("hd,hsd->hs", queries[row, node], seen[0])
    return torch.einsum("hs,hsd->hd", scores.softmax(-1), seen[1])


def test_prefix_attention_is_one_softmax_over_context_and_ancestors():
    tree = random_tree(torch.tensor([2, 5]), 9, 9, seed=5)
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        return values.requires_grad_()

    queries, nodes = random(2, 9, 3, 4), (random(2, 9, 3, 4), random(2, 9, 3, 4))
    context = (random(2, 3, 5, 4), random(2, 3, 5, 4))
    sight = Sight.of(tree, tree.parents, torch.tensor([2, 5]), 5)
    result = prefix_attention(queries, context, nodes, sight)
    rows = [
        torch.stack(
            [naive_prefix_attention(row, n, queries, context, nodes, tree) for n in range(9)]
        )
        for row in range(2)
    ]
    expected = torch.stack(rows)
    torch.testing.assert_close(result, expected)
    weight = random(2, 9, 3, 4).detach()
    inputs = (queries, *context, *nodes)
    ours = torch.autograd.grad((result * weight).sum(), inputs)
    for gradient, theirs in zip(
        ours, torch.autograd.grad((expected * weight).sum(), inputs), strict=True
    ):
        torch.testing.assert_close(gradient, theirs)


def test_causal_attention_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    queries, keys, values = (torch.randn(2, 3, 7, 4, generator=generator) for _ in range(3))
    expected = torch.nn.functional.scaled_dot_product_attention(
        queries, keys, values, is_causal=True, scale=1.0
    )
    torch.testing.assert_close(causal_attention(queries, keys, values), expected)


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
