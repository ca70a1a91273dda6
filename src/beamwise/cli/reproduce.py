"""`beamwise reproduce`: experiments as a whole, from training to the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from beamwise.cli.output import message, print_json, print_settings, print_table
from beamwise.cli.parameters import Flag, Json, Settings, ShowSettings, setting
from beamwise.cli.progress import TrainingProgress
from beamwise.cli.reproduction_plan import print_plan, seconds_of
from beamwise.config import changed_config, read_config
from beamwise.experiments.comparison_config import ComparisonConfig, select
from beamwise.experiments.comparison_plan import plan
from beamwise.experiments.comparison_report import as_json, report_path, write_comparison_report
from beamwise.experiments.comparison_runner import (
    Budget,
    BudgetSpentError,
    ComparisonWatcher,
    run_comparison,
)
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper_tables import PAPER_TABLES
from beamwise.report.objective_comparison import ComparisonFigures, verdict
from beamwise.report.published_results import published

INTERRUPTED, UNFINISHED = 130, 3


@dataclass(frozen=True)
class Asked:
    """What the command line asks of an experiment."""

    experiment: str
    config: Path | None
    settings: tuple[str, ...]
    out: Path | None
    data: Path | None
    dataset: str | None
    backbone: str | None
    size: str | None
    methods: tuple[str, ...]
    seeds: tuple[int, ...] | int
    """Their numbers, or how many of the first."""
    plan: bool
    budget: float
    """Seconds."""
    report: bool
    show_settings: bool
    json: bool


def reproduce(
    experiment: str,
    /,
    *,
    config: Path | None = None,
    settings: Settings = (),
    out: Path | None = None,
    data: Path | None = None,
    dataset: str | None = None,
    backbone: str | None = None,
    size: str | None = None,
    methods: str = "",
    seeds: str = "",
    plan: Flag = False,
    budget: str = "",
    report: Flag = False,
    show_settings: ShowSettings = False,
    json: Json = False,
) -> int:
    """Run an experiment, or what is missing of it, and write its report.

    objectives: train methods with several seeds, rank the test targets by beam search and exactly,
    and report recall and NDCG with intervals, tests, and what the beam lost.
    table1, table3: the same for the methods of a table of the APAO paper, with its figures beside
    ours: for one data set and one backbone, in the paper's sizes, or small ones for a CPU.

    What is finished is
    kept and what was interrupted is continued. To use more cores or machines, start the same
    command several times: the processes share the runs of one folder. Exit status 3 says that the
    budget was spent and there is more to do.

    For example:

      beamwise reproduce objectives --config configs/comparisons/office-small.yaml --out runs/all
      beamwise reproduce objectives --config mine.yaml --out runs/mine --methods ce,msl --seeds 0,1
      beamwise reproduce table1 --dataset office --backbone tiger --seeds 5 --out runs/table1
      beamwise reproduce table1 --dataset office --backbone llama --size small --out runs/small
      beamwise reproduce objectives --config mine.yaml --out runs/mine --plan
      beamwise reproduce objectives --config mine.yaml --out runs/mine --budget 9m
      beamwise reproduce objectives --config mine.yaml --out runs/mine --report

    Args:
        experiment: objectives, table1 or table3.
        config: YAML file of the comparison of objectives: shared settings, methods, seeds.
        settings: key.path=value of a setting of the comparison; may be repeated. With
            settings.key.path=value it changes a setting of all runs.
        out: Folder of the runs and of the report.
        data: Prepared and tokenized dataset, short for --set settings.data.folder=...; data/DATASET
            where a table's is not given.
        dataset: Of a table: office, grocery, beauty or yelp.
        backbone: Of a table: tiger or llama.
        size: Of a table: paper, or small for a CPU; paper where not given.
        methods: Names, with commas; all methods of the comparison where not given. What they start
            from is trained as well.
        seeds: How many, the first of the comparison's, or numbers with commas (0,3 or 3,); all
            where not given.
        plan: Train nothing; list the runs, what is done of them, and how long the rest will take,
            by logs of such runs or by a few steps that are timed now.
        budget: Time to work in, as 9m, 1h30m or 45s; training stops at a checkpoint, and the same
            command goes on from there. The report is written when all is done, or with --report.
        report: Train nothing; write the report from the runs that are there.
        show_settings: List all settings of a comparison, with defaults and meaning, and do no more.
        json: Print one JSON line on standard output, no tables.
    """
    if experiment not in EXPERIMENTS:
        raise ValueError(
            f"unknown experiment {experiment!r}; choose one of {', '.join(EXPERIMENTS)}"
        )
    if plan and report:
        raise ValueError("--plan and --report both train nothing: give one of them")
    asked = Asked(
        experiment,
        config,
        settings,
        out,
        data,
        dataset,
        backbone,
        size,
        _names(methods),
        _numbers(seeds),
        plan,
        seconds_of(budget),
        report,
        show_settings,
        json,
    )
    return EXPERIMENTS[experiment](asked)


def _objectives(asked: Asked) -> int:
    """A comparison that a file describes."""
    for name in ("dataset", "backbone", "size"):
        value = getattr(asked, name)
        if value is not None:
            raise ValueError(f"--{name} {value} is for a paper's table: objectives has --config")
    if asked.show_settings:
        print_settings("settings of a comparison, for --set", ComparisonConfig, json=asked.json)
        return 0
    if asked.config is None:
        raise ValueError("--config is not set: give the comparison's YAML file")
    return _compare(asked, read_config(ComparisonConfig, asked.config, _overrides(asked)))


def _paper_table(asked: Asked) -> int:
    """A comparison that a table of the paper describes."""
    if asked.config is not None:
        raise ValueError(
            f"--config {asked.config} is for objectives: {asked.experiment} takes --dataset and "
            "--backbone, and --set changes its settings"
        )
    if asked.show_settings:
        print_settings("settings of a comparison, for --set", ComparisonConfig, json=asked.json)
        return 0
    if asked.dataset is None or asked.backbone is None:
        missing = "--dataset" if asked.dataset is None else "--backbone"
        raise ValueError(
            f"{missing} is not set: {asked.experiment} is of one data set and backbone"
        )
    config = PAPER_TABLES[asked.experiment](asked.dataset, asked.backbone, asked.size or "paper")
    printed = published(asked.experiment, asked.backbone, asked.dataset)
    return _compare(asked, changed_config(config, None, _overrides(asked)), printed)


def _overrides(asked: Asked) -> list[str]:
    short = [setting("settings.data.folder", asked.data)] if asked.data else []
    return [*asked.settings, *short]


def _compare(
    asked: Asked,
    config: ComparisonConfig,
    printed: Mapping[str, Mapping[str, float]] | None = None,
) -> int:
    if asked.out is None:
        raise ValueError("--out is not set: give a folder for the runs and the report")
    methods, seeds = select(config, asked.methods, asked.seeds)
    comparison = Comparison(config, asked.out)
    if asked.plan:
        print_plan(plan(comparison, methods, seeds, _measuring), json=asked.json)
        return 0
    if not asked.report:
        print_plan(plan(comparison, methods, seeds), brief=True)
        status = _run(comparison, methods, seeds, asked.budget)
        if status:
            return status
    figures = write_comparison_report(comparison, methods, seeds, printed)
    if asked.json:
        print_json({"report": report_path(comparison), **as_json(comparison, figures)})
    else:
        _print_summary(figures)
        message(f"report in {report_path(comparison)}")
    return 0


def _run(
    comparison: Comparison, methods: Sequence[str], seeds: Sequence[int], budget: float
) -> int:
    """Train and test what is missing; the exit status, 0 where all is done."""
    try:
        with TrainingProgress() as progress:
            watcher = ComparisonWatcher(message, progress)
            run_comparison(comparison, methods, seeds, watcher, Budget(budget))
    except KeyboardInterrupt:
        message("stopped; run the same command to continue")
        return INTERRUPTED
    except BudgetSpentError:
        print_plan(plan(comparison, methods, seeds), brief=True)
        message("the budget is spent; run the same command to continue")
        return UNFINISHED
    return 0


def _measuring(method: str) -> None:
    message(f"timing a few steps of {method}")


def _print_summary(figures: ComparisonFigures) -> None:
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
    for row in figures.printed:
        message(f"{row.method} beside the paper's: {row.verdict}")
    for name, what in figures.missing.items():
        message(f"{name}: {what}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[int, ...] | int:
    """Numbers of seeds; of one without a comma, how many."""
    try:
        numbers = tuple(int(part) for part in _names(text))
    except ValueError:
        raise ValueError(f"--seeds must be whole numbers with commas, got {text!r}") from None
    return numbers if "," in text or not numbers else numbers[0]


EXPERIMENTS: dict[str, Callable[[Asked], int]] = {
    "objectives": _objectives,
    **dict.fromkeys(PAPER_TABLES, _paper_table),
}
"""What can be reproduced, by name."""
