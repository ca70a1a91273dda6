"""What `beamwise evaluate --survival` does: report on runs, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from beamwise.cli.output import message, print_json, print_table
from beamwise.cli.progress import UserProgress
from beamwise.cli.runs import tell_if_unfinished
from beamwise.config import changed_config, read_config
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.evaluation.survival_figures import Survival
from beamwise.experiments.evaluate_run import (
    data_of,
    num_retired_targets,
    part_of,
    result_folder,
    with_changes,
)
from beamwise.experiments.foreign_model import ForeignModel
from beamwise.experiments.survival_report import (
    COMPARED,
    PAGE_FILE,
    compare_survival,
    diagnose,
    figures,
    settings_like,
    short_names,
    survival_report,
    title_of,
)
from beamwise.report.survival_plot import colours_of
from beamwise.report.survival_tables import tables
from beamwise.report.survival_text import findings
from beamwise.training.config import CONFIG_FILE, RunConfig
from beamwise.training.run import open_run


@dataclass(frozen=True)
class SurvivalRequest:
    """What the command line asks."""

    runs: Sequence[Path]
    split: Literal["test", "validation"]
    data: Path | None
    changes: Mapping[str, Any]
    """Evaluation settings that were given as options."""
    config: Path | None
    settings: Sequence[str]
    html: Path | None
    model: Path | None = None
    foreign: ForeignModel | None = None
    """What `model` holds, opened."""

    @property
    def page(self) -> Path:
        """Where the page that shows all runs goes.

        Raises:
            ValueError: If there is a foreign model and no page is named.
        """
        if self.foreign is not None and self.html is None:
            raise ValueError(
                f"{self.model} is no run folder to write a report into: name its page, as "
                "--html survival.html"
            )
        name = PAGE_FILE if len(self.runs) == 1 else f"{COMPARED}.html"
        return self.html or result_folder(self.runs[0], self.split, self.data) / name


def report(request: SurvivalRequest, *, json: bool) -> None:
    """Measure every run, write the pages, print tables and sentences, or JSON lines.

    Raises:
        ValueError: If something does not fit; before the first long search wherever that is known.
    """
    page = request.page
    configs = {folder: _settings(folder, request) for folder in request.runs}
    colours_of({str(folder): None for folder in [*request.runs, request.model] if folder})
    for folder, config in configs.items():
        _check(folder, config, request)
    survivals: dict[str, Survival] = {}
    for folder, config in configs.items():
        with UserProgress(str(folder)) as progress:
            survivals[str(folder)] = survival_report(
                folder, request.split, config, data=request.data, progress=progress
            )
    if request.foreign is not None:
        with UserProgress(str(request.model)) as progress:
            survivals[str(request.model)] = _of_foreign(request.foreign, request, progress)
    if len(survivals) > 1 or request.html is not None:
        compare_survival(survivals, request.split, page)
    if json:
        for name, survival in survivals.items():
            print_json(figures(survival, {"run": name, "split": request.split}))
    else:
        _print(survivals, request.split)
    for folder in request.runs:
        message(f"saved in {result_folder(folder, request.split, request.data)}")
    message(f"open {page}")


def _settings(run: Path, request: SurvivalRequest) -> SurvivalConfig:
    own = read_config(RunConfig, run / CONFIG_FILE).evaluation
    ours = settings_like(with_changes(own, request.changes))
    return changed_config(ours, request.config, request.settings)


def _of_foreign(
    foreign: ForeignModel, request: SurvivalRequest, progress: Callable[[int, int], None]
) -> Survival:
    own = settings_like(with_changes(foreign.run.config.evaluation, request.changes))
    config = changed_config(own, request.config, request.settings)
    return diagnose(foreign.run, foreign.data, request.split, config, progress)


def _check(run: Path, config: SurvivalConfig, request: SurvivalRequest) -> None:
    """Refuse what cannot be reported on, and say what a reader of the report should know."""
    opened = open_run(run, data=request.data)
    config.widths_for(opened.catalog)
    run_data = data_of(opened)
    windows = part_of(run_data, request.split)
    tell_if_unfinished(run)
    if retired := num_retired_targets(run_data, windows):
        message(
            f"{run}: {retired:,} of {len(windows):,} targets are retired items, which no search "
            "finds: they count as out-scored"
        )


def _print(survivals: Mapping[str, Survival], split: str) -> None:
    shown = short_names(survivals)
    print(title_of(shown, split))
    for table in tables(shown):
        print_table(table.title, table.header, table.rows)
        print(f"{table.note}\n")
    for name, survival in shown.items():
        print(f"\n{name}")
        for finding in findings(survival):
            print(f"  {finding.heading}: {finding.text}")
            if finding.advice:
                print(f"    -> {finding.advice}")
