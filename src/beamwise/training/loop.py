"""The training loop: score, compute the objective, step; validate, keep the best, checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

import torch
from accelerate import Accelerator
from jaxtyping import Int64
from torch import Tensor, nn

from beamwise.backbones.base import Backbone
from beamwise.sequences.batches import epoch_order, steps_of
from beamwise.training.batch_source import BatchSource, Process
from beamwise.training.checkpoint import LAST, State, load_last, save_best, save_last
from beamwise.training.config import RunConfig
from beamwise.training.early_stopping import EarlyStopping
from beamwise.training.gradients import Gradients
from beamwise.training.metrics_log import MetricsLog
from beamwise.training.optimization import build_optimizer, learning_rate, set_learning_rate
from beamwise.training.position import Position
from beamwise.training.run_data import RunData
from beamwise.training.stages import Stage
from beamwise.training.validation import validate

Progress = Callable[[dict[str, Any]], None]


class Trainer:
    """One stage of a run: its modules, its data, and where it is."""

    def __init__(
        self,
        config: RunConfig,
        data: RunData,
        backbone: nn.Module,
        stage: Stage,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.accelerator = accelerator or Accelerator()
        device = self.accelerator.device
        self.config, self.data, self.stage = config, data, stage
        self.backbone, self.objective = backbone, stage.objective.to(device)
        self.optimizer = build_optimizer(backbone, config.training)
        here = Process(device, self.accelerator.process_index, self.accelerator.num_processes)
        needs = self.objective.needs
        self.source = BatchSource(cast(Backbone, backbone), data, config, needs, here)
        self.packs = self.source.train
        self.gradients = Gradients(self.accelerator, backbone, stage, self.source)
        mined = self.source.candidates.mined
        self.state = State(backbone, self.objective, self.optimizer, mined)
        self.position = Position()
        self.loss_sum = torch.zeros((), device=device)
        self.stopping = EarlyStopping(config.early_stopping)
        self.log = MetricsLog(config.out / "metrics.jsonl", self.accelerator.is_main_process)

    def run(self, progress: Progress) -> None:
        """Train from the last checkpoint, if any, to the end; `progress` hears of every step."""
        if (self.stage.checkpoints / LAST).is_file():
            self._restore()
        else:
            self.log.rewind(self.stage.log_lines)
        while self.position.epoch < self.config.training.epochs and not self.stopping.should_stop:
            steps = self.steps(self.position.epoch)
            for index in range(self.position.step, len(steps)):
                progress(self.step(steps, index))
            self._end_epoch()

    def steps(self, epoch: int) -> list[Int64[Tensor, " _"]]:
        """The rows of every optimiser step of an epoch."""
        training = self.config.training
        order = epoch_order(len(self.packs), training.seed, epoch)
        processes = self.accelerator.num_processes
        return steps_of(order, self.packs.sizes, training.batch_size, processes)

    def step(self, steps: list[Int64[Tensor, " _"]], index: int) -> dict[str, Any]:
        """Make one optimiser step of an epoch's, and say what it was."""
        begin, training, position = time.perf_counter(), self.config.training, self.position
        number, num_steps = position.steps, len(steps)
        made = position.epoch * num_steps + index  # as if all epochs had so many
        rate = learning_rate(made, training.epochs * num_steps, training)
        set_learning_rate(self.optimizer, rate)
        needs = self.objective.needs
        self.source.candidates.before_step(self.packs, steps, index, needs)
        num_targets = int(self.packs.sizes[steps[index]].sum())
        loss_sum, metrics = self.gradients.accumulate(steps[index], number)
        norm = self.accelerator.clip_grad_norm_(
            self.gradients.scorer.parameters(), training.clip_norm
        )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss_sum += loss_sum
        position.targets += num_targets
        position.step, position.steps = index + 1, number + 1
        line = {"epoch": position.epoch, "step": number + 1} | self.stage.label
        logged = (number + 1) % training.log_steps == 0
        if logged or index + 1 == len(steps):
            line |= {"loss": float(loss_sum) / num_targets, "learning_rate": rate}
        if logged:
            line |= {"gradient_norm": float(cast(Tensor, norm))}
            self.log.write("step", line | {name: float(value) for name, value in metrics.items()})
        position.seconds += time.perf_counter() - begin
        saved = (number + 1) % training.checkpoint_steps == 0
        if saved:
            self._checkpoint()
        told = {"steps": num_steps, "epochs": training.epochs, "targets": num_targets}
        return line | told | {"saved": saved}

    def _end_epoch(self) -> None:
        position, every = self.position, self.config.early_stopping.every_epochs
        line: dict[str, Any] = {"epoch": position.epoch, "step": position.steps} | self.stage.label
        line["train_loss"] = (position.loss_sum + float(self.loss_sum)) / position.targets
        line["train_seconds"] = round(position.seconds, 3)
        if (position.epoch + 1) % every == 0:
            results = validate(self.backbone, self.objective, self.source, self.gradients.reference)
            line |= {f"validation_{name}": value for name, value in results.items()}
            improved = self.stopping.observe(results[self.stopping.config.metric], position.epoch)
            if improved and self.accelerator.is_main_process:
                save_best(self.stage.checkpoints, self.backbone)
        self.log.write("epoch", line)
        over = position.epoch + 1 == self.config.training.epochs or self.stopping.should_stop
        self.position = Position(epoch=position.epoch + 1, steps=position.steps, finished=over)
        self.loss_sum.zero_()
        self._checkpoint()

    def _checkpoint(self) -> None:
        position = self.position
        position.loss_sum += float(self.loss_sum)
        self.loss_sum.zero_()
        position.stopping = self.stopping.state()
        progress = asdict(position) | {"log_lines": self.log.num_lines}
        if self.accelerator.is_main_process:
            save_last(self.stage.checkpoints, self.state, progress)

    def _restore(self) -> None:
        progress = load_last(self.stage.checkpoints, self.state)
        self.log.rewind(progress.pop("log_lines"))
        self.position = Position(**progress)
        self.stopping = EarlyStopping(self.config.early_stopping, **self.position.stopping)
