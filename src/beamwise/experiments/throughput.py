"""Seconds that an epoch of training takes, from logs of runs or from a few measured steps."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate import Accelerator

from beamwise.backbones import build_backbone
from beamwise.data.dataset import TOKENIZER_FOLDER
from beamwise.objectives.base import INITIAL_WEIGHTS
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, is_finished
from beamwise.training.config import RunConfig
from beamwise.training.loop import Trainer
from beamwise.training.metrics_log import read_metrics
from beamwise.training.reference import build_reference
from beamwise.training.run_data import RunData
from beamwise.training.stages import stages_of

TARGETS_TIMED = 64
"""Of a step whose time is measured."""
STEPS_TIMED = 2
"""Measured steps, after one that is not."""


def logged_epoch_seconds(folders: Sequence[Path], stage: int) -> float | None:
    """Mean seconds of an epoch in the logs of some runs; None where none has one.

    Args:
        folders: Of runs; those that are not there count for nothing.
        stage: Of runs with several, from 0.

    Raises:
        ValueError: If a log is damaged.
    """
    seconds: list[float] = []
    for folder in folders:
        path = folder / "metrics.jsonl"
        if not path.is_file():
            continue
        try:
            is_done = is_finished(folder / CHECKPOINT_FOLDER)
            lines = read_metrics(path, "epoch", is_growing=not is_done)
        except (OSError, KeyError, json.JSONDecodeError):
            raise ValueError(f"{path} is damaged: delete that run's folder") from None
        of_stage = (line for line in lines if line.get("stage", 0) == stage)
        seconds += [line["train_seconds"] for line in of_stage if "train_seconds" in line]
    return sum(seconds) / len(seconds) if seconds else None


def measured_epoch_seconds(config: RunConfig) -> list[float]:
    """Seconds of an epoch of every stage, from a few small steps of training on this machine.

    Weights are fresh, whatever a stage starts from; nothing is kept.

    Raises:
        ValueError: As `training.run.train`, of the data and the settings.
    """
    data = RunData.load(config.data)
    training = config.training
    small = training.model_copy(
        update={
            "batch_size": min(TARGETS_TIMED, training.batch_size),
            "micro_batch_size": min(TARGETS_TIMED, training.micro_batch_size),
            "checkpoint_steps": 10**9,
        }
    )
    with TemporaryDirectory() as out:
        config = config.model_copy(update={"out": Path(out), "training": small, "start_from": None})
        return [_epoch_seconds(config, number, data) for number in range(len(config.of_stages()))]


def _epoch_seconds(config: RunConfig, number: int, data: RunData) -> float:
    of_stage, stage = config.of_stages()[number], stages_of(config)[number]
    torch.manual_seed(config.training.seed)
    tokenizer = config.data.folder / TOKENIZER_FOLDER
    backbone = build_backbone(config.backbone, data.catalog.vocab_size, tokenizer)
    needed = stage.objective.needs.reference
    reference = build_reference(INITIAL_WEIGHTS if needed else None, backbone, data.catalog)
    trainer = Trainer(of_stage, data, backbone, replace(stage, reference=reference), Accelerator())
    steps = trainer.steps(0)
    trainer.step(steps, 0)
    begin, targets = time.perf_counter(), 0
    for index in range(1, 1 + STEPS_TIMED):
        targets += trainer.step(steps, index % len(steps))["targets"]
    return (time.perf_counter() - begin) * len(data.train) / targets
