import torch

from beamwise.backbones.prefix_cache import kept, prefix_cache


def ones(length, value=1.0):
    return torch.full((2, 3, length, 4), value)


def test_a_layer_shows_context_and_nodes_and_keeps_the_nodes():
    context, nodes = (ones(5), ones(5, 2.0)), (ones(2, 3.0), ones(2, 4.0))
    cache = prefix_cache([context], [nodes])
    assert cache.get_seq_length(0) == 7
    keys, values = cache.update(ones(1, 5.0), ones(1, 6.0), 0)
    assert keys[0, 0, :, 0].tolist() == [1] * 5 + [3, 3, 5]
    assert values[0, 0, :, 0].tolist() == [2] * 5 + [4, 4, 6]
    (keys,), (values,) = kept(cache)
    assert keys[0, 0, :, 0].tolist() == [3, 3, 5]
    assert values[0, 0, :, 0].tolist() == [4, 4, 6]
    assert cache.get_seq_length(0) == 8


def test_what_it_was_made_from_stays_as_it_was():
    context, nodes = (ones(5), ones(5)), (ones(2), ones(2))
    prefix_cache([context], [nodes]).update(ones(1, 9.0), ones(1, 9.0), 0)
    assert context[0].shape[2] == 5
    assert nodes[0].shape[2] == 2


def test_the_first_nodes_follow_a_context_alone():
    cache = prefix_cache([(ones(2), ones(2))], [])
    keys, _ = cache.update(ones(1, 5.0), ones(1, 5.0), 0)
    assert keys[0, 0, :, 0].tolist() == [1, 1, 5]
    assert kept(cache)[0][0].shape[2] == 1
