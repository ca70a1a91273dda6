import math

import torch

from beamwise.backbones.rotation import rotate, rotations


def test_golden():
    # head_dim 4, theta 100: pair 0 turns by the position, pair 1 by position * 100 ** (-2 / 4) = a
    # tenth of it. At position 2 the first pair (1, 0) of a key becomes (cos 2, sin 2), the second
    # (0, 1) becomes (-sin 0.2, cos 0.2). Queries are scaled by 4 ** -0.5 = 1/2 besides.
    turns = rotations(torch.tensor([[2]]), num_heads=1, head_dim=4, theta=100.0)
    rows = torch.tensor([1.0, 0.0, 0.0, 1.0]).expand(1, 1, 2, 1, 4)
    queries, keys = rotate(rows, turns)[0, 0, :, 0]
    expected = torch.tensor([math.cos(2), math.sin(2), -math.sin(0.2), math.cos(0.2)])
    torch.testing.assert_close(keys, expected)
    torch.testing.assert_close(queries, expected / 2)


def test_scores_depend_on_the_distance_only():
    generator = torch.Generator().manual_seed(0)
    queries_keys = torch.randn(1, 1, 2, 3, 8, generator=generator)
    scores = []
    for first, second in ((3, 1), (13, 11)):
        both = queries_keys.expand(1, 2, -1, -1, -1)
        turned = rotate(both, rotations(torch.tensor([[first, second]]), 3, 8, 50.0))
        scores.append((turned[0, 0, 0] * turned[0, 1, 1]).sum(-1))
    torch.testing.assert_close(scores[0], scores[1])


def test_position_zero_only_scales():
    queries_keys = torch.randn(1, 1, 2, 1, 4)
    turned = rotate(queries_keys, rotations(torch.tensor([[0]]), 1, 4, 10.0))
    torch.testing.assert_close(turned[:, :, 1], queries_keys[:, :, 1])
    torch.testing.assert_close(turned[:, :, 0], queries_keys[:, :, 0] / 2)


def test_precision_of_the_input_is_kept():
    turns = rotations(torch.tensor([[5]]), 1, 4, 10.0)
    lower = rotate(torch.ones(1, 1, 2, 1, 4, dtype=torch.bfloat16), turns)
    assert lower.dtype == torch.bfloat16
