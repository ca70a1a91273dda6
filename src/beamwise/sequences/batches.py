"""Which targets go through the model together: steps, micro-batches, chunks of equal length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

ORDER, NEGATIVES, DROPOUT, WEIGHTS = range(4)
"""What a stream of random numbers is for: second part of its `mixed_seed`, after the run's."""


@dataclass(frozen=True)
class Chunk:
    """Targets computed at once by one process; gradients add up over the chunks of a step."""

    places: Int64[Tensor, " targets"]
    """Positions within the step."""
    opens_micro_batch: bool
    opens_step: bool
    closes_step: bool


def epoch_order(num_targets: int, seed: int, epoch: int) -> Int64[Tensor, " targets"]:
    """The shuffled targets of an epoch; depends on nothing else, so a resumed run repeats it."""
    generator = torch.Generator().manual_seed(mixed_seed(seed, ORDER, epoch))
    return torch.randperm(num_targets, generator=generator)


def steps_of(
    order: Int64[Tensor, " targets"], batch_size: int, num_processes: int = 1
) -> list[Int64[Tensor, " batch"]]:
    """Cut an epoch into optimiser steps; a tail too small for all processes joins the last step."""
    steps = list(order.split(batch_size))
    if len(steps) > 1 and len(steps[-1]) < num_processes:
        steps[-2:] = [torch.cat(steps[-2:])]
    return steps


def chunks_of(
    lengths: Int64[Tensor, " batch"],
    micro_batch_size: int,
    chunk_size: int,
    rank: int = 0,
    num_processes: int = 1,
) -> Iterator[Chunk]:
    """This process's chunks of a step, of similar history length within each micro-batch.

    Every process gets as many chunks as every other, and each target goes to one of them.

    Args:
        lengths: History length of every target of the optimiser step, over all processes.
        micro_batch_size: Targets over all processes that an objective may look at together.
        chunk_size: Most targets computed at once by one process.
        rank: Of this process.
        num_processes: Of the run.

    Raises:
        ValueError: If there are fewer targets than processes.
    """
    num_targets = len(lengths)
    if num_targets < num_processes:
        raise ValueError(
            f"{num_targets} targets for {num_processes} processes: use fewer processes or more data"
        )
    num_micro_batches = min(-(-num_targets // micro_batch_size), num_targets // num_processes)
    micro_batches = torch.arange(num_targets).tensor_split(num_micro_batches)
    for index, micro_batch in enumerate(micro_batches):
        by_length = micro_batch[lengths[micro_batch].argsort(stable=True)]
        most = chunk_size * num_processes
        num_chunks = min(-(-len(by_length) // most), len(by_length) // num_processes)
        pieces = by_length.tensor_split(num_chunks)
        for place, piece in enumerate(pieces):
            yield Chunk(
                places=piece[rank::num_processes],
                opens_micro_batch=place == 0,
                opens_step=index == 0 and place == 0,
                closes_step=index == len(micro_batches) - 1 and place == len(pieces) - 1,
            )


def mixed_seed(*parts: int) -> int:
    """One generator seed from several numbers, so that streams of a run do not overlap."""
    seed = 0
    for part in parts:
        seed = (seed * 0x9E3779B97F4A7C15 + part + 1) % 2**63
    return seed
