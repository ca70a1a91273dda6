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
    """Rows computed at once by one process; gradients add up over the chunks of a step."""

    places: Int64[Tensor, " rows"]
    """Positions within the step."""
    opens_micro_batch: bool
    opens_step: bool
    closes_step: bool


@dataclass(frozen=True)
class ChunkSizes:
    """How a step is cut, all over `num_processes` processes."""

    micro_batch: int | None = None
    """Targets that an objective looks at together; None where it looks at each alone."""
    targets: int | None = None
    """Targets that one process computes at once; None where tokens decide."""
    tokens: int | None = None
    """Tokens that it computes at once, padding included; None for whole micro-batches."""
    padding: int = 256
    """Padding tokens that cost less than another chunk would, where tokens decide."""
    num_processes: int = 1
    logits: int | None = None
    """Logits that it forms at once, where tokens decide; None for any number."""


def epoch_order(num_rows: int, seed: int, epoch: int) -> Int64[Tensor, " rows"]:
    """The shuffled rows of an epoch; depends on nothing else, so a resumed run repeats it."""
    generator = torch.Generator().manual_seed(mixed_seed(seed, ORDER, epoch))
    return torch.randperm(num_rows, generator=generator)


def steps_of(
    order: Int64[Tensor, " rows"],
    sizes: Int64[Tensor, " all_rows"],
    batch_size: int,
    num_processes: int = 1,
) -> list[Int64[Tensor, " _"]]:
    """Cut an epoch into optimiser steps of about `batch_size` targets.

    A row goes to the step in which its first target lies. A step with fewer rows than processes
    joins the one before it.

    Args:
        order: The rows of the epoch.
        sizes: Targets of every row.
        batch_size: Targets of a step.
        num_processes: Of the run.
    """
    before = sizes[order].cumsum(0) - sizes[order]
    counts = torch.unique_consecutive(before // batch_size, return_counts=True)[1]
    steps: list[Int64[Tensor, " _"]] = []
    for step in order.split(counts.tolist()):
        if steps and min(len(steps[-1]), len(step)) < num_processes:
            steps[-1] = torch.cat((steps[-1], step))
        else:
            steps.append(step)
    return steps


def chunks_of(
    widths: Int64[Tensor, " rows"],
    sizes: Int64[Tensor, " rows"],
    cut: ChunkSizes,
    rank: int = 0,
    logits: Int64[Tensor, " rows"] | None = None,
) -> Iterator[Chunk]:
    """This process's chunks of a step, of similar width within each micro-batch.

    Every process gets as many chunks as every other, and each row goes to one of them.

    Args:
        widths: Tokens that every row of the optimiser step computes, over all processes.
        sizes: Targets of every row.
        cut: How the step is cut.
        rank: Of this process.
        logits: How many every row forms; none where not given.

    Raises:
        ValueError: If there are fewer rows than processes.
    """
    processes = cut.num_processes
    if len(widths) < processes:
        raise ValueError(
            f"{len(widths)} rows of targets for {processes} processes: "
            "use fewer processes or more data"
        )
    rows = torch.arange(len(widths))
    logits = torch.zeros_like(rows) if logits is None else logits
    micro_batches = [rows]
    if cut.micro_batch is not None:
        micro_batches = _pieces(rows, sizes, cut.micro_batch, processes)
    for index, micro_batch in enumerate(micro_batches):
        in_order = micro_batch[widths[micro_batch].argsort(stable=True)]
        if cut.targets is not None:
            pieces = _pieces(in_order, sizes[in_order], cut.targets * processes, processes)
        elif cut.tokens is not None:
            cuts = _cuts_of_padded(widths[in_order], logits[in_order], cut)
            pieces = in_order.tensor_split(cuts)
        else:
            pieces = [in_order]
        for place, piece in enumerate(pieces):
            yield Chunk(
                places=piece[rank::processes],
                opens_micro_batch=place == 0,
                opens_step=index == 0 and place == 0,
                closes_step=index == len(micro_batches) - 1 and place == len(pieces) - 1,
            )


def _cuts_of_padded(
    widths: Int64[Tensor, " rows"], logits: Int64[Tensor, " rows"], cut: ChunkSizes
) -> list[int]:
    """Where to cut rows of ascending width so that each piece fits and little of it is padding.

    From the widest down, a piece takes in the next narrower row as long as the padding of all its
    rows stays below `cut.padding`, the whole below `cut.tokens` and its logits, which have no
    padding, below `cut.logits`, for each process.
    """
    processes = cut.num_processes
    heads = range(0, len(widths) // processes * processes, processes)
    ends = [*heads[1:], len(widths)]
    tops = widths[torch.tensor(ends) - 1].tolist()
    formed = logits.cumsum(0)[torch.tensor(ends) - 1].diff(prepend=logits.new_zeros(1)) // processes
    most_tokens = cut.tokens or 0
    most_logits = torch.inf if cut.logits is None else cut.logits
    cuts: list[int] = []
    widest, count, padding, held = tops[-1], 0, 0, 0
    for end, top, more in zip(reversed(ends), reversed(tops), formed.flip(0).tolist(), strict=True):
        padding += widest - top
        is_full = (count + 1) * widest > most_tokens or held + more > most_logits
        if count and (padding > cut.padding or is_full):
            cuts.append(end)
            widest, count, padding, held = top, 0, 0, 0
        count += 1
        held += more
    return cuts[::-1]


def _pieces(
    rows: Int64[Tensor, " rows"], weights: Int64[Tensor, " rows"], most: int, at_least: int
) -> list[Int64[Tensor, " _"]]:
    """Consecutive rows in as few pieces as hold `most` of the weight each, as even as can be.

    A row belongs where its weight begins, so a piece can be heavier than `most` by part of a row. A
    piece of fewer than `at_least` rows joins its neighbour.
    """
    before = weights.cumsum(0) - weights
    total = int(weights.sum())
    count = max(1, min(-(-total // most), len(rows) // at_least))
    each, more = divmod(total, count)
    number = torch.arange(1, count)
    firsts = torch.searchsorted(before, number * each + number.clamp(max=more)).tolist()
    cuts = [0]
    for first in firsts:
        if first - cuts[-1] >= at_least and len(rows) - first >= at_least:
            cuts.append(first)
    return list(rows.tensor_split(cuts[1:]))


def mixed_seed(*parts: int) -> int:
    """One generator seed from several numbers, so that streams of a run do not overlap."""
    seed = 0
    for part in parts:
        seed = (seed * 0x9E3779B97F4A7C15 + part + 1) % 2**63
    return seed
