"""What `torch.compile` gains on the CPU: the backbone over a step's chunks, in bucket sizes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
import torch._inductor.config
import torch.nn.functional as F
from harness import (
    Contender,
    compare_times,
    emit,
    emit_environment,
    parser,
    take_turns,
    use_threads,
)
from torch import nn
from workload import Setting, Sizes, build_trainer, describe_data, load_data, steps_of_epoch

from beamwise.backbones import BACKBONES
from beamwise.backbones.products import fast_cpu_products
from beamwise.scoring import Scorer, TrainingBatch
from beamwise.training.loop import Trainer

SIZES_AN_OCTAVE = 4
"""Rows, nodes and context are rounded up to one of so many sizes between powers of two."""


def bucket(size: int) -> int:
    """The size that `size` is rounded up to."""
    step = max(SIZES_AN_OCTAVE, 2 ** (size - 1).bit_length() // (2 * SIZES_AN_OCTAVE))
    return -(-size // step) * step


def chunks_of_step(trainer: Trainer) -> list[TrainingBatch]:
    """The batches of one step."""
    (rows,) = steps_of_epoch(trainer, 1)
    return [batch for _, batch in trainer.source.batches(trainer.packs, rows, 0)]


def padded(batch: TrainingBatch) -> TrainingBatch:
    """The same batch, padded to its bucket, in a layout that depends on the bucket alone."""
    nodes, history = batch.tree.nodes, batch.history
    rows, num_nodes = nodes.tokens.shape
    more_rows, more_nodes, more_context = (
        bucket(size) - size for size in (rows, num_nodes, history.tokens.shape[1])
    )
    wide = nodes.map(lambda part: F.pad(part, (0, more_nodes, 0, more_rows), value=-1))
    wide = replace(wide, first_of_depth=(0,) * len(nodes.depth_bounds()))
    used = batch.tree.used
    used = used // num_nodes * (num_nodes + more_nodes) + used % num_nodes
    tokens = F.pad(history.tokens, (0, more_context, 0, more_rows))
    lengths = F.pad(history.lengths, (0, more_rows), value=1)
    return replace(
        batch,
        history=replace(history, tokens=tokens, lengths=lengths),
        tree=replace(batch.tree, nodes=wide, used=used),
    )


def over_chunks(score: nn.Module, trainer: Trainer, batches: Sequence[TrainingBatch]) -> Contender:
    """Forward and backward over the chunks of a step, all targets' tokens' losses added up."""
    needs = trainer.objective.needs

    def run(_: int) -> int:
        targets = 0
        for batch in batches:
            (-score(batch, needs).log_probs.sum()).backward()
            targets += batch.num_targets
        trainer.optimizer.zero_grad(set_to_none=True)
        return targets

    return run


def measure(trainer: Trainer, setting: Setting, repeats: int) -> None:
    """Time the plain model on plain and on padded chunks, and the compiled one on padded ones."""
    scorer = Scorer(trainer.backbone).train()
    compiled = Scorer(cast(nn.Module, torch.compile(trainer.backbone, dynamic=False))).train()
    plain = chunks_of_step(trainer)
    wide = [padded(batch) for batch in plain]
    shapes = {(batch.history.tokens.shape, batch.tree.nodes.tokens.shape) for batch in wide}
    contenders = {
        "plain": over_chunks(scorer, trainer, plain),
        "plain, padded": over_chunks(scorer, trainer, wide),
        "compiled, padded": over_chunks(compiled, trainer, wide),
    }
    begin = time.perf_counter()
    contenders["compiled, padded"](0)
    seconds = time.perf_counter() - begin
    name = f"compiled, {setting}"
    emit("measurement", benchmark=name, seconds_of_compiling=round(seconds, 1), shapes=len(shapes))
    rates = take_turns(name, contenders, repeats, "examples/s")
    for other in ("plain", "plain, padded"):
        compare_times(f"{name}: over {other}", rates["compiled, padded"], rates[other], limit=None)


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser("Time the compiled backbone beside the plain one.")
    described.add_argument("--backbone", choices=tuple(BACKBONES), default="tiger")
    described.add_argument("--only", choices=("ce", "apao-pairwise"), default="ce")
    return described


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> None:
    """Compile and time."""
    given = options().parse_args(arguments)
    sizes = sizes or Sizes()
    use_threads(given.threads)
    emit_environment()
    data = load_data(given.data, sizes)
    describe_data(given.data, data)
    torch._inductor.config.force_disable_caches = True
    torch._dynamo.config.recompile_limit = 64
    torch._dynamo.config.accumulated_recompile_limit = 1024
    setting = Setting(given.backbone, given.only, given.precision or "fp32")
    with fast_cpu_products():
        measure(build_trainer(data, sizes, setting), setting, given.repeats)


if __name__ == "__main__":
    main()
