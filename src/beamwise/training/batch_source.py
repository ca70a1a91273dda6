"""From the rows of a step to the batches that one process computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, History
from beamwise.objectives.base import Needs
from beamwise.scoring import TrainingBatch
from beamwise.sequences.batches import Chunk, ChunkSizes, chunks_of
from beamwise.sequences.packing import Packs, alone, packed_stream, packed_windows
from beamwise.sequences.windows import Windows
from beamwise.training.candidate_source import CandidateSource
from beamwise.training.config import RunConfig
from beamwise.training.row_costs import RowCosts, StepRows
from beamwise.training.run_data import RunData

CPU_LIMITS, OTHER_LIMITS = (3_072, 2**22), (65_536, 2**28)
"""Tokens computed at once where no chunk size is set, and logits formed: the vocabulary's for every
prefix scored, or the legal ones where no others are wanted. On a CPU, chunks of 2,000 to 4,000
tokens were the fastest for both backbones, with and without negatives; the others are not
measured."""


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
        self._costs = RowCosts(backbone, data.catalog, needs)
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
        encoded = None
        if not self.backbone.causal_context:  # a row a target
            histories = packs.windows.histories(windows)
            encoded = self.backbone.encode_histories(histories, self.catalog)
        step = StepRows(packs, rows, sizes, candidates, encoded)
        widths, logits = self._costs.widths(step), self._costs.logits(step)
        for chunk in chunks_of(widths, sizes, self._cut(), self.process.rank, logits):
            yield chunk, self._assemble(step, chunk.places)

    def _assemble(self, step: StepRows, places: Int64[Tensor, " rows"]) -> TrainingBatch:
        scaling, needs, catalog = self.config.negatives.scaling, self.needs, self.catalog
        candidates = step.candidates.rows(_targets_of(places, step.sizes))
        if step.encoded is None:
            items = step.packs.items(step.rows[places])
            batch = TrainingBatch.assemble_packed(
                self.backbone, catalog, items, candidates, scaling=scaling, needs=needs
            )
        else:
            history = _rows_of(step.encoded, places)
            batch = TrainingBatch.assemble_encoded(
                history, catalog, candidates, scaling=scaling, needs=needs
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
        return ChunkSizes(micro_batch, tokens=tokens, logits=logits, num_processes=processes)


def _rows_of(history: History, rows: Int64[Tensor, " rows"]) -> History:
    """Some rows, no wider than the longest of them."""
    lengths = history.lengths[rows]
    return History(history.tokens[rows, : int(lengths.max())], lengths)


def _targets_of(
    places: Int64[Tensor, " places"], sizes: Int64[Tensor, " rows"]
) -> Int64[Tensor, " targets"]:
    """Where the targets of some rows stand among those of all rows, row by row."""
    first = (sizes.cumsum(0) - sizes)[places]
    row = torch.repeat_interleave(sizes[places])
    before = sizes[places].cumsum(0) - sizes[places]
    return torch.arange(len(row)) + (first - before)[row]
