"""Training speed and memory of TIGER beside the usual `transformers` training."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
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
from jaxtyping import Float, Int64
from torch import Tensor
from transformers_alternative import Tokenizer, cross_entropy, pairwise
from workload import Sizes, batches, build_trainer, describe_data, load_data

from beamwise.backbones import Tiger
from beamwise.objectives.prefix_alignment import PairwisePrefixAlignment
from beamwise.scoring import Scorer, TrainingBatch
from beamwise.sequences.negatives import sample_negatives
from beamwise.training.loop import Trainer
from beamwise.training.run_data import RunData

TARGETS = {
    ("ce", "fp32"): 2.5,
    ("ce", "bf16"): 3.5,
    ("apao-pairwise", "fp32"): 6.0,
    ("apao-pairwise", "bf16"): 9.0,
}
"""How many times the alternative's examples a second ours must reach; bf16 is for AMX."""
MEMORY_TARGET = 4.0
"""GiB that a pairwise step of a whole batch may take."""
LOSS_TOLERANCE = 1e-4


class AlternativeTrainer:
    """Steps of the alternative, in train mode, with dropout, from a trainer's weights."""

    def __init__(self, trainer: Trainer, num_at_once: int) -> None:
        self.data = trainer.data
        self.objective = trainer.objective
        self.num_at_once = num_at_once
        self.step_size = trainer.config.training.batch_size
        self.num_negatives = trainer.config.negatives.count
        self.model = cast(Tiger, trainer.backbone).to_huggingface().train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-4)
        self.tokenizer = Tokenizer(trainer.data.catalog)
        self._num_accumulated = 0

    def train(self, rows: Int64[Tensor, " rows"]) -> int:
        """Add the gradients of these examples, and step when a batch is full."""
        for some in rows.split(self.num_at_once):
            loss = self.loss(some, self.sample(some))
            (loss * len(some) / self.step_size).backward()
        self._num_accumulated += len(rows)
        if self._num_accumulated >= self.step_size:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self._num_accumulated = 0
        return len(rows)

    def sample(self, rows: Int64[Tensor, " rows"]) -> Int64[Tensor, "rows candidates"]:
        """Leaves: the target, and where the objective has them, its negatives."""
        catalog = self.data.catalog
        targets = catalog.leaf_of_item[self.data.train.targets(rows)].long()
        if not self.objective.needs.negatives:
            return targets[:, None]
        drawn = sample_negatives(targets, catalog.num_leaves, self.num_negatives)
        return torch.cat((targets[:, None], drawn), 1)

    def loss(
        self, rows: Int64[Tensor, " rows"], candidates: Int64[Tensor, "rows candidates"]
    ) -> Float[Tensor, ""]:
        """The mean loss of some examples."""
        inputs = self.tokenizer.collate(self.data.train.histories(rows))
        tokens = self.data.catalog.leaf_tokens[candidates].long()
        if isinstance(self.objective, PairwisePrefixAlignment):
            return pairwise(self.model, inputs, tokens, beta=self.objective.beta)
        return cross_entropy(self.model, inputs, tokens[:, 0])


def ours(trainer: Trainer, steps: Sequence[Int64[Tensor, " rows"]]) -> Contender:
    """One optimiser step a round, as `beamwise train` makes it."""

    def run(turn: int) -> int:
        trainer._step(steps[turn], turn, len(steps))
        return len(steps[turn])

    return run


def alternative(
    trainer: AlternativeTrainer, steps: Sequence[Int64[Tensor, " rows"]], num_examples: int
) -> Contender:
    """The first examples of the same step a round."""
    return lambda turn: trainer.train(steps[turn][:num_examples])


@torch.no_grad()
def check_losses(
    benchmark: str, mine: Trainer, theirs: AlternativeTrainer, rows: Int64[Tensor, " rows"]
) -> None:
    """Print that both sides have the same loss on the same weights, without dropout.

    Raises:
        RuntimeError: If they do not: then their times cannot be compared.
    """
    candidates = theirs.sample(rows)
    histories = mine.data.train.histories(rows)
    for module in (mine.backbone, mine.objective, theirs.model):
        module.eval()
    backbone = cast(Tiger, mine.backbone)
    batch = TrainingBatch.assemble(backbone, mine.data.catalog, histories, candidates)
    losses, _ = mine.objective(Scorer(backbone)(batch, mine.objective.needs))
    loss_ours, loss_alternative = float(losses.mean()), float(theirs.loss(rows, candidates))
    theirs.model.train()
    difference = abs(loss_ours - loss_alternative)
    emit(
        "check",
        benchmark=benchmark,
        loss_ours=loss_ours,
        loss_alternative=loss_alternative,
        difference=difference,
        tolerance=LOSS_TOLERANCE,
        equal=difference <= LOSS_TOLERANCE,
    )
    if not difference <= LOSS_TOLERANCE:
        raise RuntimeError(
            f"{benchmark}: the loss is {loss_ours} here and {loss_alternative} in the alternative"
        )


def measure_speed(
    objective: str,
    data: RunData,
    sizes: Sizes,
    precisions: Sequence[str],
    repeats: int,
) -> None:
    """Check and time one objective in the precisions asked for."""
    num_examples = sizes.batch_size if objective == "ce" else sizes.pairwise_examples
    steps = batches(data, sizes.batch_size, repeats + 1)
    with TemporaryDirectory() as out:
        trainers = {
            precision: build_trainer(data, sizes, Path(out), objective, precision)
            for precision in precisions
        }
        first = next(iter(trainers.values()))
        other = AlternativeTrainer(first, num_examples)
        check_losses(objective, first, other, steps[0][:num_examples])
        contenders = {"alternative-fp32": alternative(other, steps, num_examples)}
        contenders |= {f"ours-{name}": ours(trainer, steps) for name, trainer in trainers.items()}
        rates = take_turns(objective, contenders, repeats, "examples/s")
    for precision in precisions:
        compare(
            f"tiger training, {objective}, {precision}",
            rates[f"ours-{precision}"],
            rates["alternative-fp32"],
            unit="examples/s",
            target=TARGETS[objective, precision],
            alternative_at_once=num_examples,
        )


def measure_memory(folder: Path | None, sizes: Sizes) -> None:
    """Peak memory of a pairwise step of a whole batch: ours measured, theirs extrapolated."""
    mine = peak_memory(our_step, folder, sizes)
    few, more = sizes.memory_examples
    low, high = (peak_memory(alternative_step, folder, sizes, count) for count in (few, more))
    slope = (high - low) / (more - few)
    extrapolated = low + slope * (sizes.batch_size - few)
    emit(
        "measurement",
        benchmark="tiger peak memory, apao-pairwise",
        contender="alternative-fp32",
        gib={str(few): round(low, 3), str(more): round(high, 3)},
        note="GiB by examples at once; the comparison extends the line through both to the batch",
    )
    emit(
        "comparison",
        benchmark=f"tiger peak memory, apao-pairwise, batch {sizes.batch_size}, fp32",
        ours=round(mine, 3),
        alternative=round(extrapolated, 1),
        alternative_is=f"extrapolated from {few} and {more} examples at once",
        unit="GiB above the loaded program and data",
        ratio=round(extrapolated / mine, 1),
        target=MEMORY_TARGET,
        met=mine < MEMORY_TARGET,
    )


def our_step(folder: Path | None, sizes: Sizes) -> Callable[[], object]:
    """One pairwise step of a batch, the model and the optimiser's state included."""
    data = load_data(folder, sizes)
    steps = batches(data, sizes.batch_size, 1)

    def work() -> None:
        with TemporaryDirectory() as out:
            ours(build_trainer(data, sizes, Path(out), "apao-pairwise"), steps)(0)

    return work


def alternative_step(folder: Path | None, sizes: Sizes, num_examples: int) -> Callable[[], object]:
    """The same of the alternative, on fewer examples padded as a whole batch is."""
    data = load_data(folder, sizes)
    longest = data.train.history_lengths.argmax()[None]
    rows = torch.cat((longest, batches(data, sizes.batch_size, 1)[0][: num_examples - 1]))

    def work() -> None:
        with TemporaryDirectory() as out:
            step = replace(sizes, batch_size=num_examples)
            trainer = build_trainer(data, step, Path(out), "apao-pairwise")
            AlternativeTrainer(trainer, num_examples).train(rows)

    return work


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser("Time TIGER's training beside the usual transformers training.")
    described.add_argument("--only", choices=("ce", "apao-pairwise"), help="one objective")
    described.add_argument(
        "--pairwise-examples", type=int, help="the alternative's examples at once (default 16)"
    )
    return described


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> None:
    """Check, time and weigh what the command line asks for."""
    chosen = options().parse_args(arguments)
    sizes = sizes or Sizes()
    if chosen.pairwise_examples:
        sizes = replace(sizes, pairwise_examples=chosen.pairwise_examples)
    use_threads(chosen.threads)
    emit_environment()
    data = load_data(chosen.data, sizes)
    describe_data(chosen.data, data)
    precisions = (chosen.precision,) if chosen.precision else ("fp32", "bf16")
    objectives = (chosen.only,) if chosen.only else ("ce", "apao-pairwise")
    with products(chosen):
        for objective in objectives:
            measure_speed(objective, data, sizes, precisions, chosen.repeats)
    if "apao-pairwise" in objectives:
        measure_memory(chosen.data, sizes)


if __name__ == "__main__":
    main()
