"""What the experiments of `beamwise reproduce` share: what is asked, and how runs are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from beamwise.cli.output import message, print_json, print_table
from beamwise.cli.progress import TrainingProgress
from beamwise.cli.reproduction_plan import print_plan
from beamwise.experiments.archive import pack
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.comparison_plan import Plan, plan
from beamwise.experiments.comparison_runner import (
    Budget,
    BudgetSpentError,
    ComparisonWatcher,
    run_comparison,
)
from beamwise.experiments.objective_comparison import Comparison
from beamwise.report.objective_comparison import ComparisonFigures, verdict

INTERRUPTED, UNFINISHED = 130, 3


@dataclass(frozen=True)
class Asked:
    """What the command line asks of an experiment."""

    experiments: tuple[str, ...]
    config: Path | None
    settings: tuple[str, ...]
    out: Path | None
    data: Path | None
    datasets: tuple[str, ...]
    backbones: tuple[str, ...]
    size: str | None
    methods: tuple[str, ...]
    seeds: tuple[int, ...] | int
    """Their numbers, or how many of the first."""
    plan: bool
    budget: Budget
    archive: Path | None
    """Write what would be run into it, and run nothing."""
    wheels: Path | None
    """Folder of packages that the archive brings."""
    results: Path | None
    """Of an archive that ran."""
    report: bool
    show_settings: bool
    json: bool

    @property
    def store(self) -> Path:
        """The folder of runs and reports.

        Raises:
            ValueError: If none is given.
        """
        if self.out is None:
            raise ValueError("--out is not set: give a folder for the runs and the report")
        return self.out

    def refuse(self, options: Mapping[str, object], why: str) -> None:
        """Refuse options that mean nothing here.

        Args:
            options: Their values by name; those that are given are refused.
            why: What to do instead.

        Raises:
            ValueError: If one is given.
        """
        for name, value in options.items():
            if value is None or value is False or value in ((), ""):
                continue
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            given = f"--{name}" if value is True else f"--{name} {shown}"
            raise ValueError(f"{given} is {why}")


def run_runs(
    comparison: Comparison, methods: Sequence[str], seeds: Sequence[int], budget: Budget
) -> int:
    """Train and test what is missing; the exit status, 0 where all is done.

    How far all runs are is told first, and again whenever one is finished.
    """
    state = _GridState(comparison, methods, seeds)
    state.tell()
    try:
        with TrainingProgress() as progress:
            watcher = ComparisonWatcher(message, progress, state.tell)
            run_comparison(comparison, methods, seeds, watcher, budget)
    except KeyboardInterrupt:
        message("stopped; run the same command to continue")
        return INTERRUPTED
    except BudgetSpentError:
        state.tell()
        message("the budget is spent; run the same command to continue")
        return UNFINISHED
    return 0


class _GridState:
    """How far all runs are, by whatever process: a line on standard error, where it is news."""

    def __init__(
        self, comparison: Comparison, methods: Sequence[str], seeds: Sequence[int]
    ) -> None:
        self._comparison, self._methods, self._seeds = comparison, methods, seeds
        self._told: Plan | None = None

    def tell(self) -> None:
        """Look at the folders, and say what changed; nothing is timed for it."""
        now = plan(self._comparison, self._methods, self._seeds)
        if now != self._told:
            print_plan(now, brief=True)
        self._told = now


def measuring(method: str) -> None:
    """Tell of steps that are about to be timed."""
    message(f"timing a few steps of {method}")


def print_summary(figures: ComparisonFigures) -> None:
    """A line a method, and what is missing."""
    k = figures.ks[-1]
    header = ("method", "seeds", f"R@{k} beam", "difference", "p (Holm)", f"R@{k} exact", "says")
    rows = []
    for method in figures.methods:
        beam, exact = (method.metrics[f"recall@{k}{end}"] for end in ("", "_full_sort"))
        difference = None if beam.test is None else f"{beam.test.difference:+.4f}"
        p = None if beam.holm_p is None else f"{beam.holm_p:.3f}"
        said = None if beam.test is None else verdict(method, k)
        of_beam, of_exact = (f"{each.interval.mean:.4f}" for each in (beam, exact))
        rows.append((method.name, len(method.seeds), of_beam, difference, p, of_exact, said))
    title = f"{figures.title}: {figures.users:,} test users, against {figures.baseline}"
    print_table(title, header, rows)
    for name, what in figures.missing.items():
        message(f"{name}: {what}")


def chosen_options(asked: Asked) -> list[str]:
    """What is asked of methods, seeds and settings, as options of a command, as it was typed."""
    options: list[str] = []
    if isinstance(asked.seeds, int):
        options += ["--seeds", str(asked.seeds)]
    elif asked.seeds:
        end = "," if len(asked.seeds) == 1 else ""  # a number alone would say how many
        options += ["--seeds", ",".join(map(str, asked.seeds)) + end]
    if asked.methods:
        options += ["--methods", ",".join(asked.methods)]
    for override in asked.settings:
        options += ["--set", override]
    return options


def write_archive(
    asked: Asked,
    commands: Sequence[Sequence[str]],
    comparisons: Sequence[ComparisonConfig],
    data: Mapping[str, Path],
    parts: Sequence[str] = (),
) -> int:
    """Pack commands, their data and what the store has of their runs.

    Args:
        asked: Names the archive and the store.
        commands: As `pack` takes them.
        comparisons: That they run.
        data: By the names that the commands know them by.
        parts: Folders of the store that the commands go on in; all of it where none are given.
    """
    store = asked.out if asked.out is not None and asked.out.is_dir() else None
    archive = asked.archive or Path()
    wheels = () if asked.wheels is None else tuple(sorted(asked.wheels.glob("*.whl")))
    if asked.wheels is not None and not wheels:
        raise ValueError(f"--wheels {asked.wheels} holds no file that ends with .whl")
    summary = pack(
        archive,
        commands=commands,
        comparisons=comparisons,
        data=data,
        store=store,
        parts=parts,
        wheels=wheels,
    )
    if asked.json:
        print_json(vars(summary))
    for line in summary.left_out:
        message(f"not packed: {line}")
    for given in summary.extras:
        message(f"the runs need what `pip install {given}` brings: there, or as wheels (--wheels)")
    runs = len(summary.runs)
    message(f"{summary.num_bytes / 2**20:.1f} MiB with {runs} runs in {summary.archive}")
    return 0
