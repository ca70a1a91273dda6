"""From the targets of a step to the batches that one process computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.objectives.base import Needs
from beamwise.scoring import TrainingBatch
from beamwise.sequences.batches import NEGATIVES, Chunk, chunks_of, mixed_seed
from beamwise.sequences.negatives import NegativesConfig, sample_negatives
from beamwise.sequences.windows import Windows
from beamwise.training.config import TrainingConfig


@dataclass(frozen=True, eq=False)
class BatchSource:
    """Makes batches on the CPU and moves them whole.

    Negatives are drawn for a step at once, so neither the size of chunks nor the number of
    processes changes them.
    """

    backbone: Backbone
    catalog: Catalog
    needs: Needs
    training: TrainingConfig
    negatives: NegativesConfig
    device: torch.device
    rank: int = 0
    num_processes: int = 1

    def check(self, train: Windows, validation: Windows) -> None:
        """Refuse data that cannot be batched.

        Raises:
            ValueError: If a part has fewer targets than processes, or the catalog too few leaves.
        """
        for part, windows in (("training", train), ("validation", validation)):
            if len(windows) < self.num_processes:
                raise ValueError(
                    f"{len(windows)} {part} targets for {self.num_processes} process(es): "
                    "users need at least 4 interactions for training and 3 for validation"
                )
        if self.needs.negatives:
            self._candidates(train.targets(torch.zeros(1, dtype=torch.int64)), stream=0)

    def batches(
        self, windows: Windows, rows: Int64[Tensor, " rows"], stream: int
    ) -> Iterator[tuple[Chunk, TrainingBatch]]:
        """This process's part of a step.

        Args:
            windows: Where the targets stand.
            rows: The targets of the step, over all processes.
            stream: With the seed, decides the negatives; the step's number in the run.
        """
        training, needs = self.training, self.needs
        most = training.micro_batch_size if needs.whole_micro_batches else training.chunk_size
        candidates = self._candidates(windows.targets(rows), stream)
        for chunk in chunks_of(
            windows.history_lengths[rows],
            training.micro_batch_size if needs.micro_batches else len(rows),
            most,
            self.rank,
            self.num_processes,
        ):
            histories = windows.histories(rows[chunk.places])
            batch = TrainingBatch.assemble(
                self.backbone,
                self.catalog,
                histories,
                candidates[chunk.places],
                self.negatives.scaling,
            )
            yield chunk, batch.to(self.device)

    def _candidates(
        self, targets: Int64[Tensor, " batch"], stream: int
    ) -> Int64[Tensor, "batch candidates"]:
        leaves = self.catalog.leaf_of_item[targets].long()
        if not self.needs.negatives:
            return leaves[:, None]
        generator = torch.Generator().manual_seed(mixed_seed(self.training.seed, NEGATIVES, stream))
        count = self.negatives.count
        drawn = sample_negatives(leaves, self.catalog.num_leaves, count, generator)
        return torch.cat((leaves[:, None], drawn), dim=1)
