"""Speed of constrained beam search beside `generate` with a trie callback."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from constrained_generation import ConstrainedGenerator
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
from searched_model import Model
from torch import Tensor
from workload import SEED, Sizes, load_data

from beamwise.backbones import Llama, Tiger, build_backbone
from beamwise.decoding import SearchResult, beam_search
from beamwise.training.run_data import RunData

TARGETS = {
    "tiger": {"fp32": 12.0, "bf16": 25.0},
    "llama": {"fp32": 20.0, "bf16": 35.0},
}
"""How many times the alternative's users a second ours must reach, by backbone and precision."""
MEMORY_TARGET = 5.0
"""How many times our peak memory the alternative must take."""
AGREEMENT_TARGET = 0.995
"""Share of the items found in fp32 that bf16 must find as well."""
SCORE_TOLERANCE = 1e-4
"""Nats, at every rank of every user."""
SAME_LEAVES = 0.999
"""Share; where two beams tie within rounding, either may be the one that is kept."""


class Search:
    """Our beam search in one precision."""

    def __init__(
        self, backbone: Tiger | Llama, data: RunData, sizes: Sizes, precision: str
    ) -> None:
        self.backbone, self.data, self.sizes = backbone, data, sizes
        self.bf16 = precision == "bf16"

    def run(self, histories: Int64[Tensor, "batch history"]) -> SearchResult:
        """The best items of each user."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            return beam_search(self.backbone, histories, self.data.catalog, self.sizes.beam_width)


def user_batches(
    data: RunData, batch_size: int, count: int
) -> list[Int64[Tensor, "batch history"]]:
    """Histories of random test users, `batch_size` at a time."""
    generator = torch.Generator().manual_seed(SEED)
    drawn = torch.randint(len(data.test), (count, batch_size), generator=generator)
    return [data.test.histories(rows) for rows in drawn]


def check_items(
    search: Search, generator: ConstrainedGenerator, histories: Int64[Tensor, "batch history"]
) -> None:
    """Print that both sides find the same on the same weights.

    Raises:
        RuntimeError: If they do not: then their times cannot be compared.
    """
    mine = search.run(histories)
    tokens, log_probs = generator.search(histories)
    catalog = search.data.catalog
    theirs = catalog.leaf_start[catalog.find(tokens.flatten(0, 1))].view(log_probs.shape)
    difference = float((mine.leaf_log_probs - log_probs).abs().max())
    same = float((mine.leaves[:, :, None] == theirs[:, None]).any(2).double().mean())
    equal = difference <= SCORE_TOLERANCE and same >= SAME_LEAVES
    emit(
        "check",
        benchmark="beam search",
        users=len(histories),
        same_leaves=same,
        largest_score_difference=difference,
        tolerance=SCORE_TOLERANCE,
        equal=equal,
    )
    if not equal:
        raise RuntimeError("the two sides do not find the same items on the same weights")


def agreement(
    searches: dict[str, Search], users: Sequence[Int64[Tensor, "batch history"]]
) -> float:
    """Share of the items that fp32 returns that bf16 returns as well, over all users."""
    shared = total = 0
    for histories in users:
        exact, rounded = (searches[name].run(histories).items for name in ("fp32", "bf16"))
        found = (exact[:, :, None] == rounded[:, None]).any(2) & (exact >= 0)
        shared += int(found.sum())
        total += int((exact >= 0).sum())
    return shared / total


def measure(
    backbone: Tiger | Llama,
    data: RunData,
    sizes: Sizes,
    precisions: Sequence[str],
    repeats: int,
) -> None:
    """Check and time the search in the precisions asked for."""
    name_of_backbone = backbone.config.name
    users = user_batches(data, sizes.batch_size, repeats + 1)
    model = backbone.to_huggingface().eval()
    generator = ConstrainedGenerator(model, data.catalog, sizes.beam_width)
    searches = {name: Search(backbone, data, sizes, name) for name in ("fp32", "bf16")}
    check_items(searches["fp32"], generator, users[0])
    contenders: dict[str, Contender] = {
        "alternative-fp32": lambda turn: len(generator.recommend(users[turn]))
    }
    for name in precisions:
        contenders[f"ours-{name}"] = lambda turn, name=name: len(
            searches[name].run(users[turn]).items
        )
    rates = take_turns(f"beam search, {name_of_backbone}", contenders, repeats, "users/s")
    for name in precisions:
        compare(
            f"{name_of_backbone} beam search, K = {sizes.beam_width}, batch {sizes.batch_size}, "
            f"{data.catalog.num_levels} steps, {name}",
            rates[f"ours-{name}"],
            rates["alternative-fp32"],
            unit="users/s",
            target=TARGETS[name_of_backbone][name],
        )
    if "bf16" in precisions:
        share = agreement(searches, users)
        emit(
            "comparison",
            benchmark=f"{name_of_backbone}: items of bf16 beam search that are those of fp32",
            ours=round(share, 5),
            unit="share",
            target=AGREEMENT_TARGET,
            met=share >= AGREEMENT_TARGET,
        )


def measure_memory(folder: Path | None, sizes: Sizes, name: str) -> None:
    """Weigh one search of a batch on both sides, each in a process of its own."""
    mine = peak_memory(our_search, folder, sizes, name)
    theirs = peak_memory(alternative_search, folder, sizes, name)
    emit(
        "comparison",
        benchmark=f"{name} peak memory, beam search, K = {sizes.beam_width}, "
        f"batch {sizes.batch_size}, fp32",
        ours=round(mine, 4),
        alternative=round(theirs, 3),
        unit="GiB above the loaded program, data and model",
        ratio=round(theirs / mine, 1),
        target=MEMORY_TARGET,
        met=theirs >= MEMORY_TARGET * mine,
    )


def our_search(folder: Path | None, sizes: Sizes, name: str) -> Callable[[], object]:
    """Our search of one batch; fresh weights take as much memory as trained ones."""
    data, backbone, histories = _ready(folder, sizes, name)
    return lambda: Search(backbone, data, sizes, "fp32").run(histories)


def alternative_search(folder: Path | None, sizes: Sizes, name: str) -> Callable[[], object]:
    """The alternative's search of the same batch."""
    data, backbone, histories = _ready(folder, sizes, name)
    model = backbone.to_huggingface().eval()
    generator = ConstrainedGenerator(model, data.catalog, sizes.beam_width)
    return lambda: generator.recommend(histories)


def _ready(
    folder: Path | None, sizes: Sizes, name: str
) -> tuple[RunData, Tiger | Llama, Int64[Tensor, "batch history"]]:
    data = load_data(folder, sizes)
    torch.manual_seed(SEED)
    backbone = build_backbone(sizes.backbones[name], data.catalog.vocab_size)
    return data, backbone.eval(), user_batches(data, sizes.batch_size, 1)[0]


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser("Time constrained beam search beside transformers' generate.")
    described.add_argument(
        "--train-steps", type=int, default=30, help="steps of training before (default 30)"
    )
    described.add_argument("--run", type=Path, help="run folder whose model and data to use")
    described.add_argument("--backbone", choices=[*TARGETS], default="tiger", help="default tiger")
    return described


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> None:
    """Check and time what the command line asks for."""
    chosen = options().parse_args(arguments)
    sizes = sizes or Sizes()
    use_threads(chosen.threads)
    emit_environment()
    model = (
        Model.of_run(chosen.run)
        if chosen.run
        else Model.after_steps(chosen.data, sizes, chosen.backbone, chosen.train_steps)
    )
    precisions = (chosen.precision,) if chosen.precision else ("fp32", "bf16")
    with products(chosen):
        measure(model.backbone, model.data, sizes, precisions, chosen.repeats)
    if not chosen.run:
        measure_memory(chosen.data, sizes, chosen.backbone)


if __name__ == "__main__":
    main()
