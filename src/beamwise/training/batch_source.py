"""From the rows of a step to the batches that one process computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.objectives.base import Needs
from beamwise.scoring import TrainingBatch
from beamwise.sequences.batches import Chunk, ChunkSizes, chunks_of
from beamwise.sequences.negatives import Candidates
from beamwise.sequences.packing import Packs, alone, packed_stream, packed_windows
from beamwise.sequences.windows import Windows
from beamwise.training.candidate_source import CandidateSource
from beamwise.training.config import RunConfig
from beamwise.training.run_data import RunData

CPU_LIMITS, OTHER_LIMITS = (3_072, 2**22), (65_536, 2**28)
"""Tokens computed at once where no chunk size is set, and logits, which are as many as the tokens
times the vocabulary. On a CPU, chunks of 2,000 to 4,000 tokens were the fastest for both backbones,
with and without negatives; the others are not measured."""


@dataclass(frozen=True)
class Process:
    """Which of a run's processes this is, and what it computes on."""

    device: torch.device = field(default_factory=partial(torch.device, "cpu"))
    rank: int = 0
    count: int = 1


class BatchSource:
    """Makes batches on the CPU and moves them whole.

    Negatives are drawn for a step at once, so neither the size of chunks nor the number of
    processes changes them.
    """

    def __init__(
        self,
        backbone: Backbone,
        data: RunData,
        config: RunConfig,
        needs: Needs,
        process: Process | None = None,
    ) -> None:
        """Lay out the targets of training and validation in the rows that they are read in.

        Args:
            backbone: Encodes histories, and mines negatives.
            data: Of the run.
            config: Of a run without stages, or of one stage.
            needs: Of the objective.
            process: The only one, on the CPU, where not given.

        Raises:
            ValueError: If there are fewer rows than processes, the catalog has too few leaves, or
                the backbone cannot have the rows that the config asks for.
        """
        self.backbone, self.catalog, self.config, self.needs = backbone, data.catalog, config, needs
        self.process = process or Process()
        self.candidates = CandidateSource(backbone, data, config, self.process.device)
        self.train, self.validation = (
            self._checked(self._packs(windows), part)
            for windows, part in ((data.train, "training"), (data.validation, "validation"))
        )
        if needs.negatives:
            self.candidates.check()

    def _packs(self, windows: Windows) -> Packs:
        training = self.config.training
        if training.packing == "stream":
            if not self.backbone.causal_context:
                raise ValueError(
                    f"training.packing=stream needs a backbone with a causal context, as llama: "
                    f"{self.config.backbone.name} reads each history alone; set packing to window"
                )
            longest = training.stream_items or 2 * self.config.data.max_history
            return packed_stream(windows, longest)
        return packed_windows(windows) if self.backbone.causal_context else alone(windows)

    def _checked(self, packs: Packs, part: str) -> Packs:
        if len(packs) < self.process.count:
            raise ValueError(
                f"{len(packs)} {part} targets for {self.process.count} process(es): "
                "users need at least 4 interactions for training and 3 for validation"
            )
        return packs

    def batches(
        self, packs: Packs, rows: Int64[Tensor, " rows"], stream: int
    ) -> Iterator[tuple[Chunk, TrainingBatch]]:
        """This process's part of a step.

        Args:
            packs: Where the targets stand.
            rows: The rows of the step, over all processes.
            stream: With the seed, decides the negatives; the step's number in the run.
        """
        windows = packs.windows_of(rows)[0]
        candidates = self.candidates.of_step(packs.windows, windows, stream, self.needs)
        sizes = packs.sizes[rows]
        widths = self._widths(packs.num_items[rows], sizes, candidates.leaves.shape[1])
        for chunk in chunks_of(widths, sizes, self._cut(), self.process.rank):
            chosen = _targets_of(chunk.places, sizes)
            yield chunk, self._assemble(packs, rows[chunk.places], candidates.rows(chosen))

    def _assemble(
        self, packs: Packs, rows: Int64[Tensor, " rows"], candidates: Candidates
    ) -> TrainingBatch:
        scaling, legal = self.config.negatives.scaling, self.needs.legal_logits
        if self.backbone.causal_context:
            batch = TrainingBatch.assemble_packed(
                self.backbone, self.catalog, packs.items(rows), candidates,
                scaling=scaling, legal=legal,
            )  # fmt: skip
        else:
            histories = packs.windows.histories(packs.windows_of(rows)[0])
            batch = TrainingBatch.assemble(
                self.backbone, self.catalog, histories, candidates, scaling=scaling, legal=legal
            )
        return batch.to(self.process.device)

    def _cut(self) -> ChunkSizes:
        training, needs = self.config.training, self.needs
        micro_batch = training.micro_batch_size if needs.micro_batches else None
        processes = self.process.count
        if needs.whole_micro_batches:
            return ChunkSizes(micro_batch, num_processes=processes)
        if training.chunk_size is not None:
            return ChunkSizes(micro_batch, training.chunk_size, num_processes=processes)
        tokens, logits = CPU_LIMITS if self.process.device.type == "cpu" else OTHER_LIMITS
        tokens = max(1, min(tokens, logits // self.catalog.vocab_size))
        return ChunkSizes(micro_batch, tokens=tokens, num_processes=processes)

    def _widths(
        self, num_items: Int64[Tensor, " rows"], sizes: Int64[Tensor, " rows"], num_candidates: int
    ) -> Int64[Tensor, " rows"]:
        """Tokens that a row computes, as if its candidates shared no prefix."""
        computed = num_candidates - 1 if self.backbone.causal_context else num_candidates
        return (num_items + sizes * computed) * self.catalog.num_levels


def _targets_of(
    places: Int64[Tensor, " places"], sizes: Int64[Tensor, " rows"]
) -> Int64[Tensor, " targets"]:
    """Where the targets of some rows stand among those of all rows, row by row."""
    first = (sizes.cumsum(0) - sizes)[places]
    row = torch.repeat_interleave(sizes[places])
    before = sizes[places].cumsum(0) - sizes[places]
    return torch.arange(len(row)) + (first - before)[row]
