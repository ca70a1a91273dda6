"""The gradients of one optimiser step, added up chunk by chunk."""

from __future__ import annotations

from contextlib import nullcontext
from typing import cast

import torch
from accelerate import Accelerator
from jaxtyping import Float, Int64
from torch import Tensor, nn

from beamwise.backbones.products import fast_cpu_products
from beamwise.scoring import Scorer
from beamwise.sequences.batches import DROPOUT, mixed_seed
from beamwise.training.batch_source import BatchSource
from beamwise.training.metrics_log import Means
from beamwise.training.reference import scored
from beamwise.training.stages import Stage


class Gradients:
    """Scores a step's rows, computes the objective, and leaves the mean's gradient in the model."""

    def __init__(
        self, accelerator: Accelerator, backbone: nn.Module, stage: Stage, source: BatchSource
    ) -> None:
        device = accelerator.device
        self.scorer = accelerator.prepare(Scorer(backbone))
        self.objective = stage.objective
        self.reference = None if stage.reference is None else stage.reference.to(device)
        self._here, self._source = accelerator, source
        self._lower_precision = torch.autocast(
            device.type, torch.bfloat16, enabled=source.config.training.precision == "bf16"
        )

    def accumulate(
        self, rows: Int64[Tensor, " rows"], number: int
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Add up the gradients of the mean over the targets of some rows.

        Args:
            rows: Of training, over all processes.
            number: Of the step in the run; decides negatives and dropout.

        Returns:
            The summed loss over all processes, and this process's means of what else is logged.
        """
        here, means, packs = self._here, Means(), self._source.train
        seed = self._source.config.training.seed
        torch.manual_seed(mixed_seed(seed, DROPOUT, number, here.process_index))
        loss_sum = torch.zeros((), device=here.device)
        num_targets = int(packs.sizes[rows].sum())
        self.scorer.train(self.objective.needs.dropout)
        self.objective.train()
        for chunk, batch in self._source.batches(packs, rows, number):
            deferred = nullcontext() if chunk.closes_step else here.no_sync(self.scorer)
            with deferred, fast_cpu_products():
                with self._lower_precision:
                    scores = scored(self.scorer, batch, self.objective.needs, self.reference)
                self.objective.begin_update(chunk.opens_micro_batch, chunk.opens_step)
                losses, metrics = self.objective(scores)
                # data-parallel training averages over processes: undo it, then average over targets
                here.backward(losses.sum() * (here.num_processes / num_targets))
            loss_sum += losses.detach().sum()
            means.add(metrics, len(losses))
        return cast(Tensor, here.reduce(loss_sum)), means.values()
