"""Training on titles: legal logits alone beside logits of the whole vocabulary and a mask."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from full_vocabulary import POSITIONS, FullVocabularyTrainer, Positions
from harness import (
    Contender,
    compare,
    emit,
    emit_environment,
    parser,
    peak_memory,
    products,
    take_turns,
    use_threads,
)
from jaxtyping import Int64
from title_workload import titles_folder, titles_trainer
from torch import Tensor
from workload import steps_of_epoch

from beamwise.backbones import Pretrained
from beamwise.training.loop import Trainer

TARGETS = {"tiny": 2.0, "smollm2": 1.15}
"""How many times the alternative's examples a second ours must reach, by model."""
MEMORY_TARGET = 2.0
"""How many times ours the alternative's peak must be, both beyond weights and optimiser state."""
OBJECTIVES = ("msl", "bear")


def plainly(objective: str) -> dict[str, Any]:
    """Its default settings."""
    return {"objective": {"name": objective}}


def checkpointed(model: str, objective: str) -> dict[str, Any]:
    """Its default settings, activations computed again on the way back."""
    backbone = {"name": "pretrained", "model": model, "gradient_checkpointing": True}
    return {"backbone": backbone, **plainly(objective)}


def ours(trainer: Trainer, steps: list[Int64[Tensor, " rows"]]) -> Contender:
    """One optimiser step a round, as `beamwise train` makes it."""
    return lambda turn: trainer.step(steps, turn)["targets"]


def alternative(trainer: FullVocabularyTrainer, steps: list[Int64[Tensor, " rows"]]) -> Contender:
    """The same targets a round."""
    return lambda turn: trainer.train(steps[turn])


def measure_speed(folder: Path, chosen: argparse.Namespace, objective: str) -> None:
    """Check that both sides have the same losses, and time them in turn."""
    trainer = titles_trainer(folder, chosen.model, chosen.batch_size, plainly(objective))
    steps = steps_of_epoch(trainer, chosen.repeats + 1)
    others = {
        positions: FullVocabularyTrainer(trainer, positions, chosen.at_once)
        for positions in POSITIONS
    }
    few = steps[0][: chosen.at_once]
    for positions, other in others.items():
        difference = float((other.losses(few).detach() - other.our_losses(few)).abs().max())
        emit("check", benchmark=f"titles, {objective}, {positions}", difference=difference)
        if difference > 1e-3:
            raise SystemExit(f"losses differ by {difference}: nothing to time")
    contenders = {
        f"alternative-{name}": alternative(other, steps) for name, other in others.items()
    }
    contenders["ours"] = ours(trainer, steps)
    rates = take_turns(f"titles, {chosen.model}", contenders, chosen.repeats, "examples/s")
    for positions in POSITIONS:
        compare(
            f"training on titles, {chosen.model}, {objective}, logits at {positions}",
            rates["ours"],
            rates[f"alternative-{positions}"],
            unit="examples/s",
            target=TARGETS[chosen.model],
            alternative_at_once=chosen.at_once,
        )


def measure_memory(folder: Path, chosen: argparse.Namespace, objective: str) -> None:
    """Weigh a step of both sides beyond what stays: weights, gradients' buffers, optimiser."""
    again = chosen.gradient_checkpointing
    sizes = (folder, chosen.model, objective, chosen.batch_size, chosen.at_once, again)
    mine = peak_memory(our_step, *sizes)
    for positions in POSITIONS:
        other = peak_memory(alternative_step, *sizes, positions)
        emit(
            "comparison",
            benchmark=f"peak memory, {chosen.model}, {objective}, logits at {positions}",
            ours=round(mine, 3),
            alternative=round(other, 3),
            unit="GiB beyond weights and optimiser state",
            ratio=round(other / mine, 2),
            gradient_checkpointing=again,
            target=MEMORY_TARGET,
            met=other / mine >= MEMORY_TARGET,
        )


def our_step(
    folder: Path, model: str, objective: str, batch_size: int, at_once: int, again: bool
) -> Callable[[], object]:
    """One step, of as many targets at once as the alternative has."""
    settings = checkpointed(model, objective) if again else plainly(objective)
    trainer = titles_trainer(folder, model, batch_size, settings, at_once)
    with_optimizer_state(trainer)
    step = steps_of_epoch(trainer, 1)
    return lambda: trainer.step(step, 0)


def alternative_step(
    folder: Path,
    model: str,
    objective: str,
    batch_size: int,
    at_once: int,
    again: bool,
    positions: Positions,
) -> Callable[[], object]:
    """The same step of the alternative."""
    trainer = titles_trainer(folder, model, batch_size, plainly(objective), at_once)
    with_optimizer_state(trainer)
    other = FullVocabularyTrainer(trainer, positions, at_once)
    if again:
        cast(Pretrained, trainer.backbone).model.gradient_checkpointing_enable()
    (rows,) = steps_of_epoch(trainer, 1)
    return lambda: other.train(rows)


def with_optimizer_state(trainer: Trainer) -> None:
    """Let the optimiser allocate what it keeps, without changing a weight."""
    for parameter in trainer.backbone.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.0
    trainer.optimizer.step()
    trainer.optimizer.zero_grad(set_to_none=True)


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser(
        "Time a training step on titles beside one with logits of the whole vocabulary and a mask. "
        "--data is a folder with a catalog of titles, or with published windows of titles."
    )
    described.add_argument("--model", choices=tuple(TARGETS), default="tiny")
    described.add_argument("--only", choices=OBJECTIVES, help="one objective; both if not given")
    described.add_argument("--batch-size", type=int, default=64, help="examples of a step")
    described.add_argument("--at-once", type=int, default=16, help="the alternative's at once")
    described.add_argument(
        "--gradient-checkpointing",
        action="store_true",
        help="weigh steps that compute activations again, of both sides; nothing is timed",
    )
    described.add_argument("--no-memory", action="store_true", help="time alone")
    return described


def main() -> None:
    """Run what the command line asks for."""
    chosen = options().parse_args()
    use_threads(chosen.threads)
    emit_environment()
    with TemporaryDirectory() as made, products(chosen):
        folder = titles_folder(chosen.data, Path(made))
        for objective in (chosen.only,) if chosen.only else OBJECTIVES:
            if not chosen.gradient_checkpointing:
                measure_speed(folder, chosen, objective)
            if not chosen.no_memory:
                measure_memory(folder, chosen, objective)


if __name__ == "__main__":
    main()
