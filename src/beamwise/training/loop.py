"""The training loop: score, compute the objective, step; validate, keep the best, checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, cast

import torch
from accelerate import Accelerator
from jaxtyping import Float, Int64
from torch import Tensor, nn

from beamwise.backbones.base import Backbone
from beamwise.backbones.products import fast_cpu_products
from beamwise.objectives.base import Objective
from beamwise.scoring import Scorer
from beamwise.sequences.batches import DROPOUT, epoch_order, mixed_seed, steps_of
from beamwise.training.batch_source import BatchSource
from beamwise.training.checkpoint import LAST, load_last, save_best, save_last
from beamwise.training.config import RunConfig
from beamwise.training.early_stopping import EarlyStopping
from beamwise.training.metrics_log import Means, MetricsLog
from beamwise.training.optimization import build_optimizer, learning_rate, set_learning_rate
from beamwise.training.position import Position
from beamwise.training.run_data import RunData
from beamwise.training.validation import validate

Progress = Callable[[dict[str, Any]], None]


class Trainer:
    """One run: its modules, its data, and where it is."""

    def __init__(
        self, config: RunConfig, data: RunData, backbone: nn.Module, objective: Objective
    ) -> None:
        self.accelerator = Accelerator()
        device = self.accelerator.device
        self.config, self.data = config, data
        self.backbone, self.objective = backbone, objective.to(device)
        self.scorer = self.accelerator.prepare(Scorer(backbone))
        self.optimizer = build_optimizer(backbone, config.training)
        self.source = BatchSource(
            cast(Backbone, backbone), data.catalog, objective.needs, config.training,
            config.negatives, device, self.accelerator.process_index,
            self.accelerator.num_processes,
        )  # fmt: skip
        self.lower_precision = torch.autocast(
            device.type, torch.bfloat16, enabled=config.training.precision == "bf16"
        )
        self.position = Position()
        self.stopping = EarlyStopping(config.early_stopping)
        self.log = MetricsLog(config.out / "metrics.jsonl", self.accelerator.is_main_process)
        self.checkpoints = config.out / "checkpoint"

    def run(self, progress: Progress) -> None:
        """Train from the last checkpoint, if any, to the end; `progress` hears of every step."""
        if (self.checkpoints / LAST).is_file():
            self._restore()
        else:
            self.log.rewind(0)
        training = self.config.training
        while self.position.epoch < training.epochs and not self.stopping.should_stop:
            order = epoch_order(len(self.data.train), training.seed, self.position.epoch)
            steps = steps_of(order, training.batch_size, self.accelerator.num_processes)
            for index in range(self.position.step, len(steps)):
                progress(self._step(steps[index], index, len(steps)))
            self._end_epoch()

    def _step(self, rows: Int64[Tensor, " batch"], index: int, num_steps: int) -> dict[str, Any]:
        training, position = self.config.training, self.position
        number = position.epoch * num_steps + index
        rate = learning_rate(number, training.epochs * num_steps, training)
        set_learning_rate(self.optimizer, rate)
        loss_sum, metrics = self._accumulate(rows, number)
        norm = self.accelerator.clip_grad_norm_(self.scorer.parameters(), training.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        position.loss_sum += float(loss_sum)
        position.targets += len(rows)
        position.step = index + 1
        line = {"epoch": position.epoch, "step": number + 1, "loss": float(loss_sum) / len(rows)}
        line |= {"learning_rate": rate, "gradient_norm": float(cast(Tensor, norm))}
        if (number + 1) % training.log_steps == 0:
            self.log.write("step", line | {name: float(value) for name, value in metrics.items()})
        if (number + 1) % training.checkpoint_steps == 0:
            self._checkpoint()
        return line | {"steps": num_steps, "epochs": training.epochs, "targets": len(rows)}

    def _accumulate(
        self, rows: Int64[Tensor, " batch"], number: int
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Add up the gradients of a step's chunks.

        Returns:
            The summed loss over all processes, and this process's means of what else is logged.
        """
        here = self.accelerator
        torch.manual_seed(
            mixed_seed(self.config.training.seed, DROPOUT, number, here.process_index)
        )
        loss_sum = torch.zeros((), device=here.device)
        means = Means()
        self.scorer.train()
        self.objective.train()
        for chunk, batch in self.source.batches(self.data.train, rows, number):
            deferred = nullcontext() if chunk.closes_step else here.no_sync(self.scorer)
            with deferred, fast_cpu_products():
                with self.lower_precision:
                    scores = self.scorer(batch, self.objective.needs)
                self.objective.begin_update(chunk.opens_micro_batch, chunk.opens_step)
                losses, metrics = self.objective(scores)
                # data-parallel training averages over processes: undo it, then average over targets
                here.backward(losses.sum() * (here.num_processes / len(rows)))
            loss_sum += losses.detach().sum()
            means.add(metrics, len(losses))
        return cast(Tensor, here.reduce(loss_sum)), means.values()

    def _end_epoch(self) -> None:
        position, every = self.position, self.config.early_stopping.every_epochs
        line: dict[str, Any] = {"epoch": position.epoch, "step": position.step}
        line["train_loss"] = position.loss_sum / position.targets
        if (position.epoch + 1) % every == 0:
            results = validate(
                self.backbone, self.objective, self.source, self.data.validation, self.config
            )
            line |= {f"validation_{name}": value for name, value in results.items()}
            improved = self.stopping.observe(results[self.stopping.config.metric], position.epoch)
            if improved and self.accelerator.is_main_process:
                save_best(self.checkpoints, self.backbone)
        self.log.write("epoch", line)
        self.position = Position(epoch=position.epoch + 1)
        self._checkpoint()

    def _checkpoint(self) -> None:
        self.position.stopping = self.stopping.state()
        progress = asdict(self.position) | {"log_lines": self.log.num_lines}
        if self.accelerator.is_main_process:
            save_last(self.checkpoints, self.backbone, self.optimizer, self.objective, progress)

    def _restore(self) -> None:
        progress = load_last(self.checkpoints, self.backbone, self.optimizer, self.objective)
        self.log.rewind(progress.pop("log_lines"))
        self.position = Position(**progress)
        self.stopping = EarlyStopping(self.config.early_stopping, **self.position.stopping)
