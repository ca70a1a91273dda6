"""Peak memory of a pairwise step: ours measured, the alternative's extrapolated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from alternative_training import AlternativeTrainer
from harness import emit, peak_memory
from workload import Setting, Sizes, build_trainer, load_data, steps_of_epoch

TARGET = 4.0
"""GiB that a pairwise step of a whole batch may take."""


def measure_memory(folder: Path | None, sizes: Sizes, backbone: str) -> None:
    """Weigh a pairwise step of a whole batch of both sides."""
    setting = Setting(backbone, "apao-pairwise", as_alternative=True)
    mine = peak_memory(our_step, folder, sizes, setting)
    few, more = sizes.memory_examples
    low, high = (
        peak_memory(alternative_step, folder, sizes, setting, count) for count in (few, more)
    )
    slope = (high - low) / (more - few)
    extrapolated = low + slope * (sizes.batch_size - few)
    emit(
        "measurement",
        benchmark=f"{backbone} peak memory, apao-pairwise",
        contender="alternative-fp32",
        gib={str(few): round(low, 3), str(more): round(high, 3)},
        note="GiB by examples at once; the comparison extends the line through both to the batch",
    )
    emit(
        "comparison",
        benchmark=f"{backbone} peak memory, apao-pairwise, batch {sizes.batch_size}, fp32",
        ours=round(mine, 3),
        alternative=round(extrapolated, 1),
        alternative_is=f"extrapolated from {few} and {more} examples at once",
        unit="GiB above the loaded program and data",
        ratio=round(extrapolated / mine, 1),
        target=TARGET,
        met=mine < TARGET,
    )


def our_step(folder: Path | None, sizes: Sizes, setting: Setting) -> Callable[[], object]:
    """One pairwise step of a batch, the model and the optimiser's state included."""
    data = load_data(folder, sizes)

    def work() -> None:
        trainer = build_trainer(data, sizes, setting)
        trainer.step(steps_of_epoch(trainer, 1), 0)

    return work


def alternative_step(
    folder: Path | None, sizes: Sizes, setting: Setting, num_examples: int
) -> Callable[[], object]:
    """The same of the alternative, on fewer examples padded as a whole batch is."""
    data = load_data(folder, sizes)
    longest = data.train.history_lengths.argmax()[None]

    def work() -> None:
        trainer = build_trainer(data, replace(sizes, batch_size=num_examples), setting)
        other = AlternativeTrainer(trainer, num_examples)
        some = other.targets(torch.cat(steps_of_epoch(trainer, 1)))[: num_examples - 1]
        other.train(torch.cat((longest, some)))

    return work
