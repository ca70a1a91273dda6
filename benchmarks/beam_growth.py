"""How the cost of beam search grows with its width, the history and the catalog; with pictures."""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from harness import emit, emit_environment, peak_memory, use_threads
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones import BACKBONES, Llama, Tiger
from beamwise.catalog import Catalog
from beamwise.decoding import beam_search

CODEBOOK_SIZE, NUM_LEVELS = 256, 4
SEED = 0
MIB_OF_GIB = 1024


@dataclass(frozen=True)
class Case:
    """One search to time."""

    backbone: str
    beam_width: int = 20
    history: int = 10
    """Items of every user's history."""
    num_items: int = 10_000


@dataclass(frozen=True)
class Grid:
    """The values of each axis, and how much of it is measured."""

    widths: tuple[int, ...] = (20, 50, 100, 200, 500)
    histories: tuple[int, ...] = (1, 5, 10, 20, 50, 100)
    catalogs: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    num_users: int = 32

    def axes(self, backbone: str) -> dict[str, list[Case]]:
        """The cases of each picture's panel, by the name of what varies."""
        return {
            "beam_width": [Case(backbone, beam_width=width) for width in self.widths],
            "history": [Case(backbone, history=length) for length in self.histories],
            "num_items": [Case(backbone, num_items=items) for items in self.catalogs],
        }


def prepared(case: Case, num_users: int) -> Callable[[], Tensor]:
    """The search of a case over fresh weights, on random semantic IDs and histories."""
    generator = torch.Generator().manual_seed(SEED)
    codes = torch.randint(CODEBOOK_SIZE, (case.num_items, NUM_LEVELS), generator=generator)
    catalog = Catalog.from_codes(codes, CODEBOOK_SIZE)
    kind = BACKBONES[case.backbone]
    torch.manual_seed(SEED)
    backbone: Tiger | Llama = kind(kind.Config(), catalog.vocab_size).eval()  # pyright: ignore
    shape = (num_users, case.history)
    histories: Int64[Tensor, "users history"] = torch.randint(
        case.num_items, shape, generator=generator
    )
    give_back_free_memory()
    return lambda: beam_search(backbone, histories, catalog, case.beam_width).num_scored


def give_back_free_memory() -> None:
    """Return what building the catalog used to the system (glibc); else it would hide a peak."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def measured(case: Case, num_users: int, repeats: int) -> dict[str, float]:
    """Milliseconds a user by the clock and by the processor, prefixes scored, peak MiB."""
    work = prepared(case, num_users)
    scored = work().double().mean()
    clock, processor = [], []
    for _ in range(repeats):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        work()
        clock.append(1000 * (time.perf_counter() - begin) / num_users)
        processor.append(1000 * (time.process_time() - begin_cpu) / num_users)
    peak = peak_memory(prepared, case, num_users)
    return {
        "ms_a_user": round(statistics.median(clock), 3),
        "processor_ms_a_user": round(statistics.median(processor), 3),
        "prefixes_a_user": round(float(scored), 1),
        "peak_mib": round(peak * MIB_OF_GIB, 1),
    }


def draw(lines: Sequence[dict], folder: Path) -> list[Path]:
    """One picture a backbone: what a user costs and the peak of memory, along each axis."""
    from matplotlib.figure import Figure

    from beamwise.report.panels import COLOURS, line, plain_numbers, title

    axes_of = {
        "beam_width": "beam width K",
        "history": "items of the history",
        "num_items": "items",
    }
    pictures = []
    for backbone in dict.fromkeys(entry["backbone"] for entry in lines):
        figure = Figure(figsize=(12, 6.4), layout="constrained")
        panels = figure.subplots(2, len(axes_of))
        for column, (axis, label) in enumerate(axes_of.items()):
            some = [e for e in lines if e["backbone"] == backbone and e["axis"] == axis]
            places = [entry[axis] for entry in some]
            top, bottom = panels[0][column], panels[1][column]
            top.plot(places, [e["processor_ms_a_user"] for e in some], "o-", color=COLOURS[0])
            top.plot(places, [e["prefixes_a_user"] for e in some], "s--", color=COLOURS[1])
            bottom.plot(places, [e["peak_mib"] for e in some], "o-", color=COLOURS[2])
            top.set_yscale("log")
            plain_numbers(top.yaxis, top.get_ylim()[1])
            bottom.set_ylim(0, 1.1 * bottom.get_ylim()[1])
            legend = [
                line("processor ms a user", COLOURS[0], marker="o"),
                line("prefixes scored a user", COLOURS[1], "dashed", marker="s"),
            ]
            title(top, f"Cost against {label}", legend=legend)
            title(bottom, f"Memory against {label}", subtitle="MiB at the peak, above the model")
            for panel in (top, bottom):
                panel.set(xscale="log", xlabel=label)
                plain_numbers(panel.xaxis, max(places))
                panel.set_xticks(places, [f"{place:,}" for place in places])
                panel.grid(color="#E4E4E4", linewidth=0.8)
                panel.set_axisbelow(True)
        figure.suptitle(
            f"Beam search, {backbone} of the paper's size, one core, fp32", x=0.01, ha="left"
        )
        picture = folder / f"beam-growth-{backbone}.png"
        figure.savefig(picture, dpi=110)
        pictures.append(picture)
    return pictures


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(description="Time beam search as its sizes grow.")
    described.add_argument("--repeats", type=int, default=5, help="timed searches a point")
    described.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    described.add_argument("--backbone", choices=[*BACKBONES], help="default both")
    described.add_argument(
        "--out", type=Path, help="folder for lines and pictures; none where not given"
    )
    described.add_argument("--draw", type=Path, help="only draw the lines of this file, into --out")
    return described


def main(arguments: Sequence[str] | None = None, grid: Grid | None = None) -> None:
    """Measure every point and draw what was measured."""
    chosen = options().parse_args(arguments)
    grid = grid or Grid()
    if chosen.draw:
        lines = [json.loads(row) for row in chosen.draw.read_text(encoding="utf-8").splitlines()]
        draw(lines, chosen.out or chosen.draw.parent)
        return
    use_threads(chosen.threads)
    emit_environment()
    lines = []
    for backbone in [chosen.backbone] if chosen.backbone else BACKBONES:
        for axis, cases in grid.axes(backbone).items():
            for case in cases:
                found = measured(case, grid.num_users, chosen.repeats)
                lines.append({"axis": axis, **vars(case), "users": grid.num_users, **found})
                emit("growth", **lines[-1])
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        rows = "".join(json.dumps(entry) + "\n" for entry in lines)
        (chosen.out / "beam-growth.jsonl").write_text(rows, encoding="utf-8")
        draw(lines, chosen.out)


if __name__ == "__main__":
    main()
