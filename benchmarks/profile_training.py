"""Where the time of training goes: products beside this processor's peak, padding, the rest."""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from harness import emit, emit_environment, parser, use_threads
from jaxtyping import Int64
from matrix_products import RecordedProducts, square
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from workload import Setting, Sizes, build_trainer, describe_data, load_data, steps_of_epoch

from beamwise.backbones import BACKBONES
from beamwise.backbones.products import fast_cpu_products
from beamwise.objectives import OBJECTIVES
from beamwise.scoring import TrainingBatch
from beamwise.training.loop import Trainer
from beamwise.training.run_data import RunData

PARTS = {
    "matrix products": r"aten::(add|b|badd)?b?mm|aten::_scaled_dot_product",
    "dropout masks": r"aten::(bernoulli_|random_|native_dropout)",
    "softmax and normaliser": r"aten::(_log)?_?(softmax|logsumexp)",
    "gathering and scattering": r"aten::(index|gather|scatter|embedding|take|sort|cumsum|_index)",
    "copies and filling": r"aten::(copy_|cat|stack|fill_|zero_|constant_pad|clone|_to_copy)",
    "optimiser": r"aten::_?f(used|oreach)",
    "elementwise and sums": r"aten::",
}
"""Names of operations, the first that fits; what fits none is PyTorch's bookkeeping."""
BOOKKEEPING = "autograd's bookkeeping"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class BatchesSeen:
    """The batches that a trainer computes, and how much of them is padding."""

    def __init__(self, trainer: Trainer) -> None:
        self.sums: Counter[str] = Counter()
        self.first_computed = 1 if trainer.source.backbone.causal_context else 0
        """Least depth of a node that is computed: a causal context's tokens are the roots."""
        trainer.gradients.scorer.register_forward_pre_hook(lambda _, given: self._see(given[0]))

    def _see(self, batch: TrainingBatch) -> None:
        nodes, first = batch.tree.nodes, self.first_computed
        bounds = (*nodes.depth_bounds(), nodes.depth.shape[1])
        computed = nodes.depth[:, bounds[first] :]
        self.sums.update(
            {
                "chunks": 1,
                "context": batch.history.tokens.numel(),
                "context used": int(batch.history.lengths.sum()),
                "nodes": computed.numel(),
                "nodes used": int((computed >= first).sum()),
            }
        )

    def shares(self) -> dict[str, float]:
        """Padding among the context's tokens and among the nodes that are computed, if any are."""
        return {
            what: round(1 - self.sums[f"{what} used"] / self.sums[what], 3)
            for what in ("context", "nodes")
            if self.sums[what]
        }


def emit_peaks(precisions: Sequence[str]) -> dict[str, float]:
    """Print and return what a large square product reaches, in GFLOP/s."""
    peaks = {}
    for name in precisions:
        product = square(DTYPES[name])
        plain = 2e-9 * product.multiply_adds / product.seconds()
        with fast_cpu_products():
            peaks[name] = 2e-9 * product.multiply_adds / product.seconds()
        emit(
            "peak",
            product=f"{product.left.shape[0]} x {product.left.shape[1]}, square, {name}",
            gflops=round(peaks[name], 1),
            gflops_without_fast_cpu_products=round(plain, 1),
        )
    return peaks


def parts_of_time(trainer: Trainer, steps: list[Int64[Tensor, " rows"]]) -> dict[str, float]:
    """The share of each part in the time of the steps after the first, by torch's profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for index in range(1, len(steps)):
            trainer.step(steps, index)
    return shares_of(recorded, PARTS, BOOKKEEPING)


def shares_of(recorded: profile, parts: Mapping[str, str], rest: str) -> dict[str, float]:
    """The share of each part in the time of all recorded operations.

    Args:
        recorded: By torch's profiler.
        parts: Patterns of the names of operations; the first that fits counts.
        rest: The part of what fits none.
    """
    times: Counter[str] = Counter()
    for event in recorded.key_averages():
        fitting = (part for part, names in parts.items() if re.match(names, event.key))
        times[next(fitting, rest)] += event.self_cpu_time_total
    total = sum(times.values())
    return {part: round(times[part] / total, 3) for part in (*parts, rest)}


def seconds_of_batches(trainer: Trainer, steps: list[Int64[Tensor, " rows"]]) -> float:
    """How long it takes to make the batches of some steps, negatives and trees included."""
    begin = time.perf_counter()
    for rows in steps:
        for _ in trainer.source.batches(trainer.packs, rows, 0):
            pass
    return time.perf_counter() - begin


def profile_setting(
    data: RunData, sizes: Sizes, setting: Setting, repeats: int, peaks: dict[str, float]
) -> None:
    """Time one setting and print where its time goes, a line."""
    trainer = build_trainer(data, sizes, setting)
    steps = steps_of_epoch(trainer, repeats + 1)
    seen = BatchesSeen(trainer)
    trainer.step(steps, 0)
    timed = range(1, repeats + 1)  # steps differ in their work: count those that are timed
    with RecordedProducts() as recorded:
        targets = sum(trainer.step(steps, index)["targets"] for index in timed)
    begin = time.perf_counter()
    for index in timed:
        trainer.step(steps, index)
    rate = targets / (time.perf_counter() - begin)
    flops = 2 * recorded.multiply_adds / targets
    with fast_cpu_products():
        alone = recorded.seconds_alone()
    achieved = 1e-9 * flops * rate
    attainable = 1e-9 * flops * targets / alone
    shares = parts_of_time(trainer, steps)
    line: dict[str, Any] = {
        "examples_a_second": round(rate, 1),
        "million_multiply_adds_an_example": round(flops / 2e6, 1),
        "gflops": round(achieved, 1),
        "gflops_of_its_products_alone": round(attainable, 1),
        "share_of_these": round(achieved / attainable, 3),
        "gflops_of_a_square": round(peaks[setting.precision], 1),
        "share_of_peak": round(achieved / peaks[setting.precision], 3),
        "shares_of_time": shares,
        "making_batches": round(seconds_of_batches(trainer, steps[1:]) * rate / targets, 3),
        "padding": seen.shares(),
        "chunks_a_step": round(seen.sums["chunks"] / (3 * repeats + 1), 1),
    }
    emit("profile", setting=str(setting), **line)


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser("Say where the time of training goes.")
    described.add_argument("--backbone", choices=tuple(BACKBONES), default="tiger")
    described.add_argument("--only", choices=tuple(OBJECTIVES), help="default ce, apao-pairwise")
    described.add_argument("--packing", choices=("window", "stream"), default="window")
    return described


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> None:
    """Profile what the command line asks for."""
    given = options().parse_args(arguments)
    sizes = sizes or Sizes()
    use_threads(given.threads)
    emit_environment()
    data = load_data(given.data, sizes)
    describe_data(given.data, data)
    precisions = (given.precision,) if given.precision else ("fp32", "bf16")
    peaks = emit_peaks(precisions)
    setting = Setting(given.backbone, packing=given.packing)
    for objective in (given.only,) if given.only else ("ce", "apao-pairwise"):
        for precision in precisions:
            chosen = replace(setting, objective=objective, precision=precision)
            profile_setting(data, sizes, chosen, given.repeats, peaks)


if __name__ == "__main__":
    main()
