import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.sequences.batches import chunks_of, epoch_order, mixed_seed, steps_of


def test_an_epoch_is_a_permutation_that_its_seed_and_number_fix():
    order = epoch_order(50, seed=3, epoch=2)
    assert sorted(order.tolist()) == list(range(50))
    assert torch.equal(order, epoch_order(50, seed=3, epoch=2))
    assert not torch.equal(order, epoch_order(50, seed=3, epoch=3))
    assert not torch.equal(order, epoch_order(50, seed=4, epoch=2))


def test_steps_cover_the_epoch_and_a_tail_too_small_joins_the_last():
    order = torch.arange(9)
    assert [len(step) for step in steps_of(order, 4)] == [4, 4, 1]
    assert [len(step) for step in steps_of(order, 4, num_processes=2)] == [4, 5]
    assert [len(step) for step in steps_of(torch.arange(3), 4)] == [3]


@given(
    num_targets=st.integers(4, 60),
    micro_batch_size=st.integers(1, 70),
    chunk_size=st.integers(1, 20),
    num_processes=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_every_target_goes_to_one_process_and_all_get_as_many_chunks(
    num_targets, micro_batch_size, chunk_size, num_processes, seed
):
    lengths = torch.randint(1, 9, (num_targets,), generator=torch.Generator().manual_seed(seed))
    by_rank = [
        list(chunks_of(lengths, micro_batch_size, chunk_size, rank, num_processes))
        for rank in range(num_processes)
    ]
    places = [place for chunks in by_rank for chunk in chunks for place in chunk.places.tolist()]
    assert sorted(places) == list(range(num_targets))
    for together in zip(*by_rank, strict=True):
        assert len({(c.opens_micro_batch, c.opens_step, c.closes_step) for c in together}) == 1
        assert min(len(chunk.places) for chunk in together) >= 1
    first = by_rank[0]
    assert [chunk.opens_step for chunk in first] == [True] + [False] * (len(first) - 1)
    assert [chunk.closes_step for chunk in first] == [False] * (len(first) - 1) + [True]


def test_a_micro_batch_is_cut_into_chunks_of_similar_length():
    lengths = torch.tensor([9, 1, 8, 2, 1, 9, 2, 8])
    chunks = list(chunks_of(lengths, micro_batch_size=4, chunk_size=2))
    assert [lengths[chunk.places].tolist() for chunk in chunks] == [[1, 2], [8, 9], [1, 2], [8, 9]]
    assert [chunk.opens_micro_batch for chunk in chunks] == [True, False, True, False]


def test_fewer_targets_than_processes_are_refused():
    with pytest.raises(ValueError, match="2 targets for 3 processes"):
        list(chunks_of(torch.tensor([1, 1]), 4, 4, 0, 3))


def test_mixed_seeds_tell_their_parts_apart():
    seeds = {mixed_seed(a, b) for a in range(-1, 20) for b in range(20)}
    assert len(seeds) == 21 * 20
    assert all(0 <= seed < 2**63 for seed in seeds)
