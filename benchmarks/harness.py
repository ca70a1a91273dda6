"""Measuring: contenders in turn, medians, ratios pair by pair, memory, one JSON line each."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from beamwise.backbones.products import fast_cpu_products

GIB = 2**30
ALLOCATOR_SETTINGS = (
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
)
Contender = Callable[[int], int]
"""Does the work of one round, whose number it is told, and returns how many units it did."""


def parser(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--data", type=Path, help="folder of a semantic-ID JSON triple")
    options.add_argument("--repeats", type=int, default=5, help="timed rounds (default 5)")
    options.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    options.add_argument("--precision", choices=("fp32", "bf16"), help="ours; default both")
    options.add_argument(
        "--same-products",
        action="store_true",
        help="let the alternative use the faster fp32 products that ours chooses on some CPUs",
    )
    return options


def products(chosen: argparse.Namespace) -> AbstractContextManager[None]:
    """What `--same-products` asks for: nothing, or `fast_cpu_products` around both sides."""
    return fast_cpu_products() if chosen.same_products else nullcontext()


def emit(kind: str, **values: Any) -> None:
    """Print one JSON line; `kind` says what it is: environment, check, comparison and so on."""
    print(json.dumps({"kind": kind, **values}), flush=True)


def use_threads(threads: int) -> None:
    """Compute on the CPU, on so many threads."""
    os.environ["ACCELERATE_USE_CPU"] = "true"
    torch.set_num_threads(threads)


def emit_environment() -> None:
    """Say what the numbers were measured on and with."""
    import transformers

    processor, flags = _processor()
    emit(
        "environment",
        command=" ".join(["python", *sys.argv]),
        processor=processor,
        cores=os.cpu_count(),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1),
        avx512_bf16="avx512_bf16" in flags,
        amx_bf16="amx_bf16" in flags,
        threads=torch.get_num_threads(),
        allocator={name: os.environ[name] for name in ALLOCATOR_SETTINGS if name in os.environ},
        python=platform.python_version(),
        torch=torch.__version__,
        transformers=transformers.__version__,
    )


def take_turns(
    benchmark: str, contenders: Mapping[str, Contender], repeats: int, unit: str
) -> dict[str, list[float]]:
    """Rates of all contenders, in units a second, round by round: A B C, B C A, C A B, ...

    A processor drifts between speeds, so contenders alternate and only rates of one round are
    compared. Each begins a round in turn, as the first is the one that meets new sizes. Round 0 is
    a warm-up and is not kept.

    Raises:
        ValueError: If there are no rounds to time.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be >= 1, got {repeats}: time at least one round")
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        begins = turn % len(contenders)
        order = [*contenders][begins:] + [*contenders][:begins]
        for name in order:
            contender = contenders[name]
            begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
            units = contender(turn)
            rate = units / (time.perf_counter() - begin)
            if turn > 0:
                rates[name].append(rate)
                line = {"contender": name, "round": turn, "rate": round(rate, 3), "unit": unit}
                emit("measurement", benchmark=benchmark, **line, **_cpu_seconds_since(before))
    return rates


def compare(
    benchmark: str,
    ours: list[float],
    alternative: list[float],
    *,
    unit: str,
    target: float | None,
    **details: Any,
) -> None:
    """Print the comparison: the medians, and the median of the ratios of each round."""
    ratio = statistics.median(a / b for a, b in zip(ours, alternative, strict=True))
    emit(
        "comparison",
        benchmark=benchmark,
        ours=round(statistics.median(ours), 2),
        alternative=round(statistics.median(alternative), 2),
        unit=unit,
        ratio=round(ratio, 2),
        target=target,
        met=None if target is None else ratio >= target,
        **details,
    )


def compare_times(
    benchmark: str, one: list[float], other: list[float], *, limit: float | None, **details: Any
) -> None:
    """Print how many times as long a unit of `one` takes as a unit of `other`, at most `limit`.

    Args:
        benchmark: What is compared.
        one: Rates, in units a second, round by round.
        other: Rates of the same rounds.
        limit: What the median of the rounds' ratios may reach; None where nothing is asked.
        details: More to print.
    """
    ratio = statistics.median(b / a for a, b in zip(one, other, strict=True))
    emit(
        "comparison",
        benchmark=benchmark,
        ms=round(1000 / statistics.median(one), 3),
        ms_of_other=round(1000 / statistics.median(other), 3),
        ratio=round(ratio, 3),
        limit=None if limit is None else round(limit, 3),
        met=None if limit is None else ratio <= limit,
        **details,
    )


def peak_memory(function: Callable[..., Callable[[], object]], *arguments: Any) -> float:
    """GiB of resident memory that a piece of work adds at its peak, in a process of its own.

    Args:
        function: Gets everything ready that does not count, and returns the work that does. A
            module's own function, so that another process can import it.
        arguments: Of `function`.
    """
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(_peak_above_start, function, arguments, torch.get_num_threads()).result()


def _peak_above_start(
    function: Callable[..., Callable[[], object]], arguments: tuple[Any, ...], threads: int
) -> float:
    use_threads(threads)
    work = function(*arguments)
    start = _resident("VmRSS")
    _forget_peak()
    work()
    return (_resident("VmHWM") - start) / GIB


def _cpu_seconds_since(before: resource.struct_rusage) -> dict[str, float]:
    """Time in the program and in the kernel; the latter is mostly fetching fresh memory."""
    now = resource.getrusage(resource.RUSAGE_SELF)
    user, system = now.ru_utime - before.ru_utime, now.ru_stime - before.ru_stime
    return {"user_s": round(user, 3), "system_s": round(system, 3)}


def _resident(field: str) -> int:
    """Bytes of this process, now (VmRSS) or at most (VmHWM).

    Linux's own count where there is one: `ru_maxrss` starts at what the parent process had.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _forget_peak() -> None:
    """Make the peak start anew, where the system can: what loading took does not count."""
    switch = Path("/proc/self/clear_refs")
    if switch.exists():
        switch.write_text("5", encoding="ascii")


def _processor() -> tuple[str, set[str]]:
    """Name and features, as Linux tells them."""
    description = Path("/proc/cpuinfo")
    if not description.is_file():
        return platform.processor() or platform.machine(), set()
    fields: dict[str, str] = {}
    for line in description.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields.get("model name", platform.machine()), set(fields.get("flags", "").split())
