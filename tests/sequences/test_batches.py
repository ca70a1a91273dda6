import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.sequences.batches import ChunkSizes, chunks_of, epoch_order, mixed_seed, steps_of


def test_an_epoch_is_a_permutation_that_its_seed_and_number_fix():
    order = epoch_order(50, seed=3, epoch=2)
    assert sorted(order.tolist()) == list(range(50))
    assert torch.equal(order, epoch_order(50, seed=3, epoch=2))
    assert not torch.equal(order, epoch_order(50, seed=3, epoch=3))
    assert not torch.equal(order, epoch_order(50, seed=4, epoch=2))


def test_steps_cover_the_epoch_and_a_tail_too_small_joins_the_last():
    order, ones = torch.arange(9), torch.ones(9, dtype=torch.int64)
    assert [len(step) for step in steps_of(order, ones, 4)] == [4, 4, 1]
    assert [len(step) for step in steps_of(order, ones, 4, num_processes=2)] == [4, 5]
    assert [len(step) for step in steps_of(torch.arange(3), ones, 4)] == [3]


def test_a_row_belongs_to_the_step_where_its_first_target_lies():
    sizes = torch.tensor([3, 2, 4, 1, 9, 1])
    # targets in order 0..2 | 3..4 | 5..8 | 9 | 10..18 | 19, steps of 4
    steps = steps_of(torch.arange(6), sizes, 4)
    assert [step.tolist() for step in steps] == [[0, 1], [2], [3, 4], [5]]
    assert [step.tolist() for step in steps_of(torch.tensor([4, 0]), sizes, 4)] == [[4], [0]]


@given(
    num_rows=st.integers(4, 60),
    widest=st.integers(1, 5),
    micro_batch=st.none() | st.integers(1, 70),
    targets=st.none() | st.integers(1, 20),
    tokens=st.none() | st.integers(1, 200),
    num_processes=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_every_row_goes_to_one_process_and_all_get_as_many_chunks(
    num_rows, widest, micro_batch, targets, tokens, num_processes, seed
):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 9, (num_rows,), generator=generator)
    sizes = torch.randint(1, widest + 1, (num_rows,), generator=generator)
    cut = ChunkSizes(micro_batch, targets, tokens, 3, num_processes)
    by_rank = [list(chunks_of(lengths * sizes, sizes, cut, rank)) for rank in range(num_processes)]
    places = [place for chunks in by_rank for chunk in chunks for place in chunk.places.tolist()]
    assert sorted(places) == list(range(num_rows))
    for together in zip(*by_rank, strict=True):
        assert len({(c.opens_micro_batch, c.opens_step, c.closes_step) for c in together}) == 1
        assert min(len(chunk.places) for chunk in together) >= 1
    first = by_rank[0]
    assert [chunk.opens_step for chunk in first] == [True] + [False] * (len(first) - 1)
    assert [chunk.closes_step for chunk in first] == [False] * (len(first) - 1) + [True]


@given(num_rows=st.integers(1, 40), chunk=st.integers(1, 12))
def test_rows_of_one_target_are_cut_as_evenly_as_can_be(num_rows, chunk):
    ones = torch.ones(num_rows, dtype=torch.int64)
    sizes = [len(c.places) for c in chunks_of(ones, ones, ChunkSizes(targets=chunk))]
    assert len(sizes) == -(-num_rows // chunk)
    assert max(sizes) - min(sizes) <= 1


@given(seed=st.integers(0, 1000), tokens=st.integers(5, 60), num_processes=st.integers(1, 3))
def test_a_chunk_fits_and_little_of_it_is_padding(seed, tokens, num_processes):
    widths = torch.randint(1, 9, (40,), generator=torch.Generator().manual_seed(seed))
    ones = torch.ones(40, dtype=torch.int64)
    cut = ChunkSizes(tokens=tokens, padding=6, num_processes=num_processes)
    for found in chunks_of(widths, ones, cut):
        piece = widths[found.places]
        # rows that fill no group of all processes join the last one
        assert len(piece) <= 2 or len(piece) * int(piece.max()) <= tokens + 9
        if num_processes == 1:
            assert int((piece.max() - piece).sum()) <= 6


def test_rows_by_width_are_cut_where_padding_costs_more_than_a_chunk():
    widths = torch.tensor([1, 9, 8, 9, 1, 2])
    ones = torch.ones(6, dtype=torch.int64)
    chunks = list(chunks_of(widths, ones, ChunkSizes(tokens=100, padding=5)))
    assert [widths[chunk.places].tolist() for chunk in chunks] == [[1, 1, 2], [8, 9, 9]]
    chunks = list(chunks_of(widths, ones, ChunkSizes(tokens=18, padding=100)))
    assert [widths[chunk.places].tolist() for chunk in chunks] == [[1, 1], [2, 8], [9, 9]]


def test_a_micro_batch_is_cut_into_chunks_of_similar_length():
    lengths = torch.tensor([9, 1, 8, 2, 1, 9, 2, 8])
    ones = torch.ones(8, dtype=torch.int64)
    chunks = list(chunks_of(lengths, ones, ChunkSizes(micro_batch=4, targets=2)))
    assert [lengths[chunk.places].tolist() for chunk in chunks] == [[1, 2], [8, 9], [1, 2], [8, 9]]
    assert [chunk.opens_micro_batch for chunk in chunks] == [True, False, True, False]


def test_micro_batches_hold_about_as_many_targets_as_asked_for():
    sizes = torch.tensor([3, 1, 2, 2, 1, 3])
    chunks = list(chunks_of(sizes, sizes, ChunkSizes(micro_batch=4)))
    assert [int(sizes[chunk.places].sum()) for chunk in chunks] == [4, 4, 4]


def test_fewer_rows_than_processes_are_refused():
    ones = torch.ones(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="2 rows of targets for 3 processes"):
        list(chunks_of(ones, ones, ChunkSizes(4, 4, num_processes=3)))


def test_mixed_seeds_tell_their_parts_apart():
    seeds = {mixed_seed(a, b) for a in range(-1, 20) for b in range(20)}
    assert len(seeds) == 21 * 20
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_chunk_forms_no_more_logits_than_fit():
    widths = torch.tensor([1, 9, 8, 9, 1, 2])
    ones = torch.ones(6, dtype=torch.int64)
    cut = ChunkSizes(tokens=100, padding=100, logits=10)
    logits = torch.tensor([2, 6, 4, 5, 11, 2])  # of rows 0 to 5; in order of width 2 11 2 4 6 5
    chunks = list(chunks_of(widths, ones, cut, 0, logits))
    assert [chunk.places.tolist() for chunk in chunks] == [[0], [4], [5], [2, 1], [3]]
    chunks = list(chunks_of(widths, ones, ChunkSizes(tokens=100, padding=100), 0, logits))
    assert len(chunks) == 1
