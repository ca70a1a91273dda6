"""Where the time of beam search goes: its stages, and kinds of work."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from beam_search import Search, user_batches
from harness import emit, emit_environment, parser, use_threads
from profile_training import shares_of
from searched_model import Model
from torch.profiler import ProfilerActivity, profile
from workload import Sizes

from beamwise.backbones import BACKBONES, Llama, Tiger
from beamwise.decoding import levels, results, search

KINDS = {
    "linear products": r"aten::(add)?mm",
    "attention, softmax included": r"aten::(b|badd)?bmm|aten::_?(scaled_dot|.*softmax)",
    "norms and activations": r"aten::.*(rms_norm|rsqrt|mean|pow|silu|relu|gelu)",
    "gathering, sorting": r"aten::(_?index|gather|take|embedding|sort|topk|cumsum)",
    "copies and filling": r"aten::(copy_|cat|stack|fill_|zero_|constant_pad|clone|_to_copy)",
    "elementwise and sums": r"aten::",
}
"""Names of operations, the first that fits."""
REST = "bookkeeping"


def stages(backbone: Tiger | Llama, run: Callable[[], object]) -> dict[str, float]:
    """Shares of processor time; what is called inside a function counts for it."""
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(run)
    seconds = _seconds_by_code(pstats.Stats(profiler))
    of = {
        name: seconds(function)
        for name, function in {
            "encode": type(backbone).encode_histories,
            "read": type(backbone).read,
            "extend": type(backbone).extend,
            "expand": levels.PrefixScorer.expand,
            "keep": levels.keep_best,
            "rank": results.rank_leaves,
            "all": search.search,
        }.items()
    }
    whole = of["all"]
    return {
        "reading histories": round((of["encode"] + of["read"]) / whole, 3),
        "extending prefixes": round(of["extend"] / whole, 3),
        "logits, normalisers, children": round((of["expand"] - of["extend"]) / whole, 3),
        "keeping the best": round(of["keep"] / whole, 3),
        "ranking leaves and items": round(of["rank"] / whole, 3),
    }


def _seconds_by_code(stats: pstats.Stats) -> Callable[[Callable[..., object]], float]:
    """Seconds within a function and what it calls."""
    cumulative = {key: value[3] for key, value in stats.stats.items()}  # type: ignore[attr-defined]

    def seconds(function: Callable[..., object]) -> float:
        while hasattr(function, "__wrapped__"):  # what no_grad made of it
            function = function.__wrapped__
        code = function.__code__
        return cumulative.get((code.co_filename, code.co_firstlineno, code.co_name), 0.0)

    return seconds


def kinds(run: Callable[[], object]) -> dict[str, float]:
    """Shares of the time of operations, by torch's profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        run()
    return shares_of(recorded, KINDS, REST)


def profile_search(found: Search, batch_size: int, repeats: int, name: str) -> None:
    """Print where the time of some searches goes, after one that warms up."""
    batches = user_batches(found.data, batch_size, repeats + 1)
    found.run(batches[0])

    def run() -> None:
        for histories in batches[1:]:
            found.run(histories)

    begin = time.process_time()
    run()
    milliseconds = 1000 * (time.process_time() - begin) / (batch_size * repeats)
    emit(
        "profile",
        setting=name,
        processor_ms_a_user=round(milliseconds, 2),
        stages=stages(found.backbone, run),
        kinds=kinds(run),
    )


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser("Say where the time of beam search goes.")
    described.add_argument("--backbone", choices=tuple(BACKBONES), default="tiger")
    described.add_argument("--train-steps", type=int, default=30, help="without --run; 30")
    described.add_argument("--run", type=Path, help="a run folder to take weights and data from")
    return described


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> None:
    """Profile what the command line asks for."""
    given = options().parse_args(arguments)
    sizes = sizes or Sizes()
    use_threads(given.threads)
    emit_environment()
    model = (
        Model.of_run(given.run)
        if given.run
        else Model.after_steps(given.data, sizes, given.backbone, given.train_steps)
    )
    for precision in (given.precision,) if given.precision else ("fp32", "bf16"):
        found = Search(model.backbone, model.data, sizes, precision)
        profile_search(found, sizes.batch_size, given.repeats, f"{model.name}, {precision}")


if __name__ == "__main__":
    main()
