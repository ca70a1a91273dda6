"""What objectives on titles cost beside plain fine-tuning: time and peak memory of a step."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness import (
    compare_times,
    emit,
    emit_environment,
    parser,
    peak_memory,
    products,
    take_turns,
    use_threads,
)
from title_workload import titles_folder, titles_trainer
from titles_training import TARGETS, ours, with_optimizer_state
from workload import steps_of_epoch

PLAIN = "ce"
BEAM = 10
PREFIXES = {"levels": "branching", "max_prefixes": 4}
"""Of APAO: prefixes end where titles part."""
SIMULATION = "simulated beams"
"""A search before every step, and the pairwise loss on what kept the target out of its beam."""
SETTINGS: dict[str, dict[str, Any]] = {
    PLAIN: {"objective": {"name": PLAIN}},
    "msl": {"objective": {"name": "msl"}},
    "bear": {"objective": {"name": "bear", "beam_width": BEAM}},
    "bear-log-sigmoid": {"objective": {"name": "bear", "form": "log-sigmoid", "beam_width": BEAM}},
    "bear-reweight": {"objective": {"name": "bear", "form": "reweight", "beam_width": BEAM}},
    "apao-pointwise": {"objective": {"name": "apao-pointwise", **PREFIXES}},
    "apao-pairwise": {"objective": {"name": "apao-pairwise", **PREFIXES}},
    "dpo": {"objective": {"name": "dpo", "reference": "initial-weights"}},
    "dmpo": {"objective": {"name": "dmpo", "reference": "initial-weights"}},
    "s-dpo": {"objective": {"name": "s-dpo", "reference": "initial-weights"}},
    SIMULATION: {"objective": {"name": "apao-pairwise", "beam_width": BEAM, **PREFIXES}},
}
NEGATIVES: dict[str, dict[str, Any]] = {
    "dpo": {"count": 1},
    SIMULATION: {"source": "beam", "mine_every": 1, "count": BEAM},
}
"""Of those that are not trained with as many as the command line says."""
PAPER_SIMULATION = 4.45
"""Times plain fine-tuning that BEAR's paper says simulating beams takes, or more."""


def settings_of(method: str, num_negatives: int) -> dict[str, Any]:
    """What `titles_trainer` takes."""
    return {**SETTINGS[method], "negatives": NEGATIVES.get(method, {"count": num_negatives})}


def step_of(
    folder: Path, model: str, method: str, batch_size: int, num_negatives: int
) -> Callable[[], object]:
    """One step of a method, its weights and the optimiser's state already there."""
    trainer = titles_trainer(folder, model, batch_size, settings_of(method, num_negatives))
    with_optimizer_state(trainer)
    step = steps_of_epoch(trainer, 1)
    return lambda: trainer.step(step, 0)


def measure(folder: Path, chosen: argparse.Namespace, method: str, other_gib: float | None) -> None:
    """Time and weigh steps of a method beside the other's on the same rows."""
    other = chosen.over
    names = (other, method)
    contenders = {}
    for name in names:
        settings = settings_of(name, chosen.negatives)
        trainer = titles_trainer(folder, chosen.model, chosen.batch_size, settings)
        contenders[name] = ours(trainer, steps_of_epoch(trainer, chosen.repeats + 1))
    benchmark = f"titles, {chosen.model}, {method} over {other}"
    rates = take_turns(benchmark, contenders, chosen.repeats, "examples/s")
    is_told = (other, method) == (PLAIN, SIMULATION)
    paper = {"paper_says_over": PAPER_SIMULATION} if is_told else {}
    compare_times(benchmark, rates[method], rates[other], limit=None, unit="ms an example", **paper)
    if other_gib is not None:
        emit_memory(folder, chosen, method, other_gib)


def emit_memory(folder: Path, chosen: argparse.Namespace, method: str, other_gib: float) -> None:
    """Print the peak of a step beside the other's, both beyond weights and optimiser state."""
    peak = gib_of(folder, chosen, method)
    emit(
        "comparison",
        benchmark=f"peak memory, titles, {chosen.model}, {method} over {chosen.over}",
        ours=round(peak, 3),
        alternative=round(other_gib, 3),
        unit="GiB beyond weights and optimiser state",
        ratio=round(peak / other_gib, 2),
    )


def gib_of(folder: Path, chosen: argparse.Namespace, method: str) -> float:
    """Peak of one step."""
    sizes = (folder, chosen.model, method, chosen.batch_size, chosen.negatives)
    return peak_memory(step_of, *sizes)


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser(
        "Time and weigh a training step on titles of every objective beside plain fine-tuning, or "
        "beside another. "
        "--data is a folder with a catalog of titles, or with published windows of titles."
    )
    methods = [method for method in SETTINGS if method != PLAIN]
    described.add_argument("--model", choices=tuple(TARGETS), default="tiny")
    described.add_argument("--only", choices=methods, nargs="+", default=methods)
    described.add_argument("--over", choices=tuple(SETTINGS), default=PLAIN, help="default ce")
    described.add_argument("--batch-size", type=int, default=32, help="examples of a step")
    described.add_argument("--negatives", type=int, default=10, help="of objectives that have some")
    described.add_argument("--no-memory", action="store_true", help="time alone")
    return described


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    chosen = options().parse_args(arguments)
    use_threads(chosen.threads)
    emit_environment()
    with TemporaryDirectory() as made, products(chosen):
        folder = titles_folder(chosen.data, Path(made))
        other_gib = None if chosen.no_memory else gib_of(folder, chosen, chosen.over)
        for method in chosen.only:
            measure(folder, chosen, method, other_gib)


if __name__ == "__main__":
    main()
