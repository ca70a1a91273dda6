"""Prepares a data set from 10^7 generated interactions; the alternative is plain polars, in memory.

    python benchmarks/prepare.py [--rows 10000000] [--cores 2] [--repeats 1]

Each side reads the file (CSV, then Parquet), drops repeated rows, keeps the 5-core, and writes the
result as Parquet, in a process of its own for every round; imports and the start of Python count.
This file imports nothing large at its top, for every such process would carry it.
Ours also checks every id and time, numbers the ids, and can name the row of whatever is wrong.
Prints JSON lines: seconds and peak resident memory of every process, then both and their ratios.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

K = 5
GIB = 2**30
SECONDS, MEMORY_GIB = 60.0, 2.0
"""The targets, at 10^7 interactions on two cores."""


class Round(NamedTuple):
    """What one process did."""

    seconds: float
    cpu_seconds: float
    """Of all its threads, in the program and in the kernel."""
    peak_gib: float
    num_kept: int


def generate(folder: Path, num_rows: int, num_users: int, num_items: int) -> None:
    """Write the same interactions as CSV and as Parquet: users uneven, items by Zipf."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    popularity = np.cumsum(np.arange(1, num_items + 1) ** -0.9)
    items = np.searchsorted(popularity, rng.random(num_rows) * popularity[-1])
    users = (num_users * rng.random(num_rows) ** 1.5).astype(np.int64)
    times = rng.integers(1_500_000_000, 1_700_000_000, num_rows)
    table = pl.DataFrame({"user_id": users, "item_id": items, "timestamp": times}).with_columns(
        pl.format("user-{}", "user_id").alias("user_id"),
        pl.format("item-{}", "item_id").alias("item_id"),
    )
    table.write_csv(folder / "taken.csv")
    table.write_parquet(folder / "taken.parquet")


def ours(file: Path, out: Path) -> int:
    """What `beamwise prepare table` runs; returns the interactions kept."""
    from beamwise.data.sources.table import TableConfig, read_table_source

    dataset = read_table_source(TableConfig(file=file, min_interactions=K))
    dataset.save(out)
    return len(dataset.interactions)


def plain_polars(file: Path, out: Path) -> int:
    """The same with polars' own reader and groups."""
    import polars as pl

    read = pl.read_csv if file.suffix == ".csv" else pl.read_parquet
    table = read(file).unique(maintain_order=True)
    height = -1
    while height != table.height:
        height = table.height
        for column in ("user_id", "item_id"):
            enough = table.group_by(column).len().filter(pl.col("len") >= K)
            table = table.join(enough.select(column), on=column, how="semi")
    out.mkdir()
    table.sort("user_id", "timestamp").write_parquet(out / "interactions.parquet")
    table.select("item_id").unique().write_parquet(out / "items.parquet")
    return height


CONTENDERS = {"ours": ours, "alternative": plain_polars}


def measure(contender: Callable[[Path, Path], int], file: Path, cores: int) -> Round:
    """Run one side in a fresh process on so many cores."""
    fresh = multiprocessing.get_context("spawn")
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as out, ProcessPoolExecutor(1, mp_context=fresh) as pool:
        arguments = (contender, file, Path(out) / "data", cores)
        num_kept, cpu_seconds, peak = pool.submit(_weighed, *arguments).result()
        return Round(time.perf_counter() - begin, cpu_seconds, peak, num_kept)


def _weighed(
    contender: Callable[[Path, Path], int], file: Path, out: Path, cores: int
) -> tuple[int, float, float]:
    os.environ["POLARS_MAX_THREADS"] = str(cores)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    num_kept = contender(file, out)
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return num_kept, used.ru_utime + used.ru_stime, peak / GIB


def compare_on(file: Path, repeats: int, cores: int) -> None:
    """Let both sides take turns on one file and print what they took.

    Raises:
        RuntimeError: If they do not keep as many interactions.
    """
    from harness import emit

    rounds: dict[str, list[Round]] = {name: [] for name in CONTENDERS}
    benchmark = f"prepare {file.suffix.removeprefix('.')}"
    for turn in range(1, repeats + 1):
        for name, contender in CONTENDERS.items():
            done = measure(contender, file, cores)
            rounds[name].append(done)
            line = {key: round(value, 3) for key, value in done._asdict().items()}
            emit("measurement", benchmark=benchmark, contender=name, round=turn, **line)
    kept = {done.num_kept for of_one in rounds.values() for done in of_one}
    emit("check", benchmark=benchmark, equal=len(kept) == 1, kept=max(kept))
    if len(kept) != 1:
        raise RuntimeError(f"{benchmark}: the sides keep {sorted(kept)} interactions")
    seconds, peak = _medians(rounds["ours"])
    other_seconds, other_peak = _medians(rounds["alternative"])
    emit(
        "comparison",
        benchmark=benchmark,
        seconds=round(seconds, 2),
        alternative_seconds=round(other_seconds, 2),
        ratio=round(other_seconds / seconds, 2),
        peak_gib=round(peak, 3),
        alternative_peak_gib=round(other_peak, 3),
        memory_ratio=round(other_peak / peak, 2),
        target=f"< {SECONDS:.0f} s, < {MEMORY_GIB:.0f} GiB",
        met=seconds < SECONDS and peak < MEMORY_GIB,
    )


def _medians(rounds: Sequence[Round]) -> tuple[float, float]:
    seconds, _, peaks, _ = zip(*rounds, strict=True)
    return statistics.median(seconds), statistics.median(peaks)


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate the files and measure both sides on each."""
    from harness import emit, emit_environment

    options = argparse.ArgumentParser(description="Time the preparing of a large table.")
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--users", type=int, default=1_000_000)
    options.add_argument("--items", type=int, default=200_000)
    options.add_argument("--cores", type=int, default=2, help="cores to run on (default 2)")
    options.add_argument("--repeats", type=int, default=1, help="rounds (default 1)")
    chosen = options.parse_args(arguments)
    emit_environment()
    emit("data", rows=chosen.rows, users=chosen.users, items=chosen.items, cores=chosen.cores)
    with tempfile.TemporaryDirectory() as folder:
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=fresh) as pool:
            sizes = (chosen.rows, chosen.users, chosen.items)
            pool.submit(generate, Path(folder), *sizes).result()
        for name in ("taken.csv", "taken.parquet"):
            compare_on(Path(folder) / name, chosen.repeats, chosen.cores)


if __name__ == "__main__":
    main()
