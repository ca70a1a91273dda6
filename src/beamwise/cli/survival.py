"""What `beamwise evaluate --survival` does: report on runs, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from beamwise.catalog import Catalog
from beamwise.cli.output import message, print_json, print_table
from beamwise.cli.progress import UserProgress
from beamwise.cli.runs import tell_if_unfinished
from beamwise.config import changed_config, read_config
from beamwise.evaluation.survival_counts import SurvivalConfig, num_prefixes_scored
from beamwise.evaluation.survival_figures import Survival
from beamwise.experiments.evaluate_run import (
    Split,
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
    check_comparable,
    check_page,
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
from beamwise.training.run_data import RunData

MOST_PREFIXES = 50_000_000
"""Prefixes of all users up to which nothing is said of the time: some ten minutes of one core for a
small model."""


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
    check_page(page)
    configs = _settings(request)
    colours_of(configs)
    check_comparable(configs)
    _check(configs, request)
    survivals: dict[str, Survival] = {}
    for name, config in configs.items():
        with UserProgress(name) as progress:
            survivals[name] = _measured(name, config, request, progress)
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


def _settings(request: SurvivalRequest) -> dict[str, SurvivalConfig]:
    """Of every run and of the foreign model, by their names."""
    own = {
        str(folder): read_config(RunConfig, folder / CONFIG_FILE).evaluation
        for folder in request.runs
    }
    if request.foreign is not None:
        name = str(request.model)
        if name in own:
            raise ValueError(f"{name} is given as a run and as --model: copy one into a new folder")
        own[name] = request.foreign.run.config.evaluation
    return {
        name: changed_config(
            settings_like(with_changes(evaluation, request.changes)),
            request.config,
            request.settings,
        )
        for name, evaluation in own.items()
    }


def _check(configs: Mapping[str, SurvivalConfig], request: SurvivalRequest) -> None:
    """Refuse what cannot be reported on, and say what a reader of the report should know."""
    if request.foreign is not None:
        name = str(request.model)
        configs[name].widths_for(request.foreign.run.catalog)
        _tell_of_price(
            name, configs[name], request.foreign.run.catalog, request.foreign.data, request.split
        )
        _tell_of_retired(name, request.foreign.data, request.split)
    for folder in request.runs:
        opened = open_run(folder, data=request.data)
        configs[str(folder)].widths_for(opened.catalog)
        data = data_of(opened)
        _tell_of_price(str(folder), configs[str(folder)], opened.catalog, data, request.split)
        tell_if_unfinished(folder)
        _tell_of_retired(str(folder), data, request.split)


def _tell_of_price(
    name: str, config: SurvivalConfig, catalog: Catalog, data: RunData, split: Split
) -> None:
    """Say what a long report takes, and what takes less."""
    users = len(part_of(data, split))
    users = min(users, config.max_users or users)
    each = num_prefixes_scored(catalog, config.mask)
    if users * each <= MOST_PREFIXES:
        return
    fewer = max(1, MOST_PREFIXES // each)
    said = f"--set max_users={fewer} looks at so many users, evenly spread"
    before = num_prefixes_scored(catalog, "before")
    if before < each:
        said += f"; --mask before takes {before:,} a user, since it passes over forced tokens"
    message(
        f"{name}: {each:,} prefixes are scored for each of {users:,} users, a long work: {said}"
    )


def _tell_of_retired(name: str, data: RunData, split: str) -> None:
    windows = part_of(data, split)
    if retired := num_retired_targets(data, windows):
        message(
            f"{name}: {retired:,} of {len(windows):,} targets are retired items, which no search "
            "finds: they count as out-scored"
        )


def _measured(
    name: str,
    config: SurvivalConfig,
    request: SurvivalRequest,
    progress: Callable[[int, int], None],
) -> Survival:
    foreign = request.foreign
    if foreign is not None and name == str(request.model):
        return diagnose(foreign.run, foreign.data, request.split, config, progress)
    return survival_report(name, request.split, config, data=request.data, progress=progress)


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
