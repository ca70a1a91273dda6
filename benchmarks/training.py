"""Training speed and memory beside the usual `transformers` training, and of our objectives."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alternative_training import AlternativeTrainer, check_losses, comparable_rows
from harness import (
    Contender,
    compare,
    compare_times,
    emit_environment,
    parser,
    products,
    take_turns,
    use_threads,
)
from jaxtyping import Int64
from matrix_products import multiply_adds
from torch import Tensor
from training_memory import measure_memory
from workload import Setting, Sizes, build_trainer, describe_data, load_data, steps_of_epoch

from beamwise.backbones import BACKBONES
from beamwise.objectives import OBJECTIVES
from beamwise.training.loop import Trainer
from beamwise.training.run_data import RunData

TARGETS = {
    "tiger, ce, fp32": 2.5,
    "tiger, ce, bf16": 3.5,
    "tiger, apao-pairwise, fp32": 6.0,
    "tiger, apao-pairwise, bf16": 9.0,
    "llama, ce, window, fp32": 2.5,
    "llama, ce, stream, fp32": 12.0,
    "llama, apao-pairwise, window, fp32": 3.0,
    "llama, apao-pairwise, window, bf16": 4.0,
    "llama, apao-pairwise, stream, fp32": 3.0,
    "llama, apao-pairwise, stream, bf16": 4.0,
}
"""How many times the alternative's examples a second ours must reach; bf16 is for AMX."""
SAME_PRICE = 1.1
"""How many times as long as `ce` an objective may take that scores the target alone."""
SAME_CANDIDATES = 1.3
"""How many times as long as `apao-pairwise` one may take that scores the same candidates."""
PRICE_OF_PRODUCTS = 1.3
"""How many times as long as its share of multiply-adds `apao-pairwise` may take beside `ce`."""


@dataclass(frozen=True)
class Chosen:
    """What the command line asks for."""

    objectives: Sequence[str]
    precisions: Sequence[str]
    repeats: int


def ours(trainer: Trainer, steps: list[Int64[Tensor, " rows"]]) -> Contender:
    """One optimiser step a round, as `beamwise train` makes it."""
    return lambda turn: trainer.step(steps, turn)["targets"]


def alternative(
    trainer: AlternativeTrainer, steps: list[Int64[Tensor, " rows"]], num_examples: int | None
) -> Contender:
    """The same step's targets a round, or the first of them."""
    return lambda turn: trainer.train(trainer.targets(steps[turn])[:num_examples])


def measure_speed(data: RunData, sizes: Sizes, setting: Setting, chosen: Chosen) -> None:
    """Check and time one objective beside the alternative in the precisions asked for."""
    trainers = {
        precision: build_trainer(data, sizes, replace(setting, precision=precision))
        for precision in chosen.precisions
    }
    first = next(iter(trainers.values()))
    steps = steps_of_epoch(first, chosen.repeats + 1)
    is_pairwise = first.objective.needs.negatives
    num_examples = sizes.pairwise_examples if is_pairwise else None
    other = AlternativeTrainer(first, num_examples or sizes.batch_size)
    rows = comparable_rows(first, other.num_at_once)
    check_losses(f"{setting.backbone}, {setting.objective}", first, other, rows)
    contenders = {"alternative-fp32": alternative(other, steps, num_examples)}
    contenders |= {f"ours-{name}": ours(trainer, steps) for name, trainer in trainers.items()}
    rates = take_turns(str(setting), contenders, chosen.repeats, "examples/s")
    for precision in chosen.precisions:
        name = str(replace(setting, precision=precision))
        compare(
            f"training, {name}",
            rates[f"ours-{precision}"],
            rates["alternative-fp32"],
            unit="examples/s",
            target=TARGETS.get(name),
            alternative_at_once=other.num_at_once,
        )


def base_of(objective: str) -> str | None:
    """The objective whose time this one's is compared with; None for `ce`."""
    if objective == "ce":
        return None
    config = OBJECTIVES[objective].Config()
    has_negatives = OBJECTIVES[objective](config).needs.negatives
    return "apao-pairwise" if has_negatives and objective != "apao-pairwise" else "ce"


def measure_prices(
    data: RunData, sizes: Sizes, setting: Setting, base: str, chosen: Chosen
) -> None:
    """Time some of our objectives beside the one that they build on, on the same rows.

    Args:
        data: Of the trainers.
        sizes: Of the model and the steps.
        setting: Backbone, precision and packing.
        base: The objective to compare with.
        chosen: The objectives, and how many rounds.
    """
    names = (base, *chosen.objectives)
    trainers = {
        name: build_trainer(data, sizes, replace(setting, objective=name)) for name in names
    }
    steps = steps_of_epoch(trainers[base], chosen.repeats + 1)
    timed = range(1, chosen.repeats + 1)
    counts = {
        name: multiply_adds(lambda trainer=trainer: [trainer.step(steps, turn) for turn in timed])
        for name, trainer in trainers.items()
    }
    contenders = {name: ours(trainer, steps) for name, trainer in trainers.items()}
    rates = take_turns(f"{setting.backbone}, over {base}", contenders, chosen.repeats, "examples/s")
    num_targets = sum(int(trainers[base].packs.sizes[steps[turn]].sum()) for turn in timed)
    for name in chosen.objectives:
        ratio = counts[name] / counts[base]
        limit = SAME_PRICE if base == "ce" else SAME_CANDIDATES
        if name == "apao-pairwise":
            limit = PRICE_OF_PRODUCTS * ratio
        compare_times(
            f"time an example, {replace(setting, objective=name)}, over {base}",
            rates[name],
            rates[base],
            limit=limit,
            multiply_adds_ratio=round(ratio, 3),
            million_multiply_adds=round(counts[name] / num_targets / 1e6, 1),
            million_multiply_adds_of_other=round(counts[base] / num_targets / 1e6, 1),
        )


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser("Time training beside the usual transformers training.")
    described.add_argument("--backbone", choices=tuple(BACKBONES), default="tiger")
    described.add_argument("--only", choices=tuple(OBJECTIVES), help="one objective")
    described.add_argument(
        "--packing",
        choices=("window", "stream"),
        default="window",
        help="of llama: exact histories, or longer ones and faster (default window)",
    )
    described.add_argument(
        "--pairwise-examples", type=int, help="the alternative's examples at once (default 16)"
    )
    return described


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> None:
    """Check, time and weigh what the command line asks for."""
    given = options().parse_args(arguments)
    sizes = sizes or Sizes()
    if given.pairwise_examples:
        sizes = replace(sizes, pairwise_examples=given.pairwise_examples)
    use_threads(given.threads)
    emit_environment()
    data = load_data(given.data, sizes)
    describe_data(given.data, data)
    objectives = (given.only,) if given.only else tuple(OBJECTIVES)
    precisions = (given.precision,) if given.precision else ("fp32", "bf16")
    chosen = Chosen(objectives, precisions, given.repeats)
    setting = Setting(given.backbone, packing=given.packing)
    with products(given):
        for objective in [name for name in ("ce", "apao-pairwise") if name in objectives]:
            compared = replace(setting, objective=objective, as_alternative=True)
            measure_speed(data, sizes, compared, chosen)
        for base in ("ce", "apao-pairwise"):
            over = [name for name in objectives if base_of(name) == base]
            if over:
                measure_prices(data, sizes, setting, base, replace(chosen, objectives=over))
    if "apao-pairwise" in objectives:
        measure_memory(given.data, sizes, given.backbone)


if __name__ == "__main__":
    main()
