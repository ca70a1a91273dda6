"""Tables and figures of the paper from the command line: settings, runs, sections and the page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from beamwise.cli.output import message, print_json, print_settings
from beamwise.cli.reproduction import (
    Asked,
    chosen_options,
    measuring,
    run_runs,
    write_archive,
)
from beamwise.cli.reproduction_plan import print_plan
from beamwise.config import changed_config
from beamwise.experiments.archive_merge import merge
from beamwise.experiments.comparison_config import ComparisonConfig, select
from beamwise.experiments.comparison_plan import plan
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import table2
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.experiments import EXPERIMENTS
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.store import DATA_SECTION, write_experiment, write_page
from beamwise.experiments.paper.title_setting import TITLE_DATASETS, TitleSetting
from beamwise.report.section import Section
from beamwise.report.section_files import write_section

ALL, PAGE, MERGE = "all", "report", "merge"
PAPER_EXPERIMENTS = (DATA_SECTION, *EXPERIMENTS)
"""In the order in which `all` runs them."""


class _Work(NamedTuple):
    """An experiment in a setting, with what is asked of it."""

    name: str
    setting: Setting
    config: ComparisonConfig | None = None
    """None of what shows the data alone."""
    methods: tuple[str, ...] = ()
    """The baseline among them."""
    seeds: tuple[int, ...] = ()


def reproduce_paper(asked: Asked) -> int:
    """Experiments of the paper, one after the other, and a page of all that the store has."""
    asked.refuse({"config": asked.config}, "for objectives: a table takes --dataset and --backbone")
    asked.refuse({"from": asked.results}, "for merge")
    if asked.show_settings:
        print_settings("settings of a comparison, for --set", ComparisonConfig, json=asked.json)
        return 0
    works = [_work(asked, name, setting) for name, setting in _asked_works(asked)]
    if asked.archive is not None:
        return _pack(asked, works)
    for work in works:
        status = _experiment(asked, work)
        if status:
            return status
    if not asked.plan:
        page, sections = write_page(asked.store)
        _tell_page(asked, page, sections)
    return 0


def write_report(asked: Asked) -> int:
    """The page, and every section's files, from the sections that a store has."""
    page, sections = write_page(asked.store)
    _tell_page(asked, page, sections)
    return 0


def merge_results(asked: Asked) -> int:
    """Runs that another machine brought back."""
    if asked.results is None:
        raise ValueError("--from is not set: give the folder results of an archive that ran")
    if asked.data is not None and not asked.data.is_dir():
        raise ValueError(
            f"no folder at --data {asked.data}: give the folder that holds the data, by name"
        )
    data = None if asked.data is None else {path.name: path for path in asked.data.iterdir()}
    summary = merge(asked.results, asked.store, data=data)
    if asked.json:
        print_json(vars(summary))
    for line in summary.refused:
        message(f"not merged: {line}")
    message(f"{len(summary.merged)} runs merged, {len(summary.unchanged)} were there already")
    return 0 if summary.is_complete else 1


def _asked_works(asked: Asked) -> list[tuple[str, Setting]]:
    """Experiments and what they are of: each of all data sets and backbones, before the next."""
    what = ",".join(asked.experiments)
    if not asked.datasets:
        raise ValueError(f"--dataset is not set: {what} is of one data set or several")
    if not asked.backbones and set(asked.experiments) != {DATA_SECTION}:
        raise ValueError(f"--backbone is not set: {what} is of one backbone or several")
    if asked.data is not None and len(asked.datasets) > 1:
        raise ValueError(
            f"--data {asked.data} is of one data set, and {len(asked.datasets)} are asked for: "
            "put them under data/ by their names, or run one at a time"
        )
    size = asked.size or "paper"
    of_data = {dataset: _names_of(asked, dataset) for dataset in asked.datasets}
    names = dict.fromkeys(name for every in of_data.values() for name in every)
    works: dict[tuple[str, str], tuple[str, Setting]] = {}
    for name, (dataset, backbone) in product(
        names, product(asked.datasets, asked.backbones or ("tiger",))
    ):
        if name in of_data[dataset]:
            kind = EXPERIMENTS[name].setting if name in EXPERIMENTS else Setting
            setting = kind(dataset, backbone, size, asked.data)
            folder = dataset if name == DATA_SECTION else setting.folder
            works.setdefault((name, folder), (name, setting))
    return list(works.values())


def _work(asked: Asked, name: str, setting: Setting) -> _Work:
    """Read and check what is asked of an experiment, before anything is run."""
    if name == DATA_SECTION:
        return _Work(name, setting)
    experiment = EXPERIMENTS[name]
    config = changed_config(experiment.comparison(setting), None, list(asked.settings))
    chosen, seeds = select(config, asked.methods, asked.seeds)
    every = (method.name for method in config.methods)
    methods = tuple(each for each in every if each in (*chosen, config.baseline))
    experiment.check(config, methods)
    if experiment.grids_on_all_seeds:
        config = config.model_copy(update={"seeds": seeds, "grid_seeds": len(seeds)})
    return _Work(name, setting, config, methods, seeds)


def _names_of(asked: Asked, dataset: str) -> Sequence[str]:
    """The experiments that are asked for; of all, those that are of such a data set."""
    if ALL not in asked.experiments:
        return asked.experiments
    kind = TitleSetting if dataset in TITLE_DATASETS else Setting
    names = [name for name, experiment in EXPERIMENTS.items() if experiment.setting is kind]
    return names if kind is TitleSetting else [DATA_SECTION, *names]


def _experiment(asked: Asked, work: _Work) -> int:
    """Run one experiment and write its section; the exit status, 0 where that is all done."""
    setting, config, methods, seeds = work[1:]
    command = _command(asked, work)
    if config is None:
        if not asked.plan:
            section = table2.section(setting.dataset, setting.data_folder, command)
            _tell(asked, section, asked.store / setting.dataset)
        return 0
    if not asked.report:
        _prepare(work)
    comparison = Comparison(config, asked.store / setting.folder)
    if asked.plan:
        message(config.title)
        print_plan(plan(comparison, methods, seeds, measuring), json=asked.json)
        return 0
    if not asked.report:
        message(config.title)
        status = run_runs(comparison, methods, seeds, asked.budget)
        if status:
            return status
    evidence = Evidence(setting, comparison, methods, seeds, command, asked.settings)
    _tell(asked, write_experiment(work.name, evidence), comparison.out)
    return 0


def _prepare(work: _Work) -> dict[str, Path]:
    """Data that an experiment makes beside the setting's, by the name that commands know."""
    prepare = EXPERIMENTS[work.name].prepare if work.name in EXPERIMENTS else None
    if prepare is None:
        return {}
    beside = work.setting.data_folder.parent
    was_there = set(beside.iterdir()) if beside.is_dir() else set()
    made = prepare(work.setting)
    if made not in was_there:
        message(f"data for {work.name} written to {made}")
    name = made.name.removeprefix(work.setting.data_folder.name)
    return {f"{work.setting.dataset}{name}": made}


def _tell(asked: Asked, section: Section, folder: Path) -> None:
    """Where the section is, and what it says."""
    if section.name == DATA_SECTION:
        write_section(section, folder)
    if asked.json:
        print_json({"report": folder / f"{section.name}.md", **section.model_dump(mode="json")})
        return
    for finding in section.findings:
        print(finding)
    for line in section.missing:
        message(line)
    message(f"report in {folder / section.name}.md")


def _tell_page(asked: Asked, page: Path, sections: Sequence[Section]) -> None:
    if asked.json:
        shown = [{"name": each.name, "setting": each.setting} for each in sections]
        print_json({"page": page, "sections": shown})
    else:
        message(f"page of {len(sections)} parts in {page}")


def _command(asked: Asked, work: _Work) -> str:
    """What makes a section again: what was typed, of this experiment and setting."""
    words = ["beamwise", "reproduce", work.name, "--dataset", work.setting.dataset]
    if work.config is not None:
        words += ["--backbone", work.setting.backbone]
        words += [] if asked.size is None else ["--size", asked.size]
    words += [] if asked.data is None else ["--data", str(asked.data)]
    words += [] if work.config is None else chosen_options(asked)
    return shlex.join([*words, "--out", "STORE"])


def _pack(asked: Asked, works: Sequence[_Work]) -> int:
    """An archive that runs the same elsewhere, a command an experiment and setting."""
    settings = list(dict.fromkeys(work.setting for work in works))
    data = {setting.dataset: setting.data_folder for setting in settings}
    for work in works:
        data |= _prepare(work)
    commands = [_packed(asked, work) for work in works]
    comparisons = [work.config for work in works if work.config is not None]
    parts = tuple(setting.folder for setting in settings)
    return write_archive(asked, commands, comparisons, data, parts)


def _packed(asked: Asked, work: _Work) -> list[str]:
    command = ["reproduce", work.name, "--dataset", work.setting.dataset]
    command += ["--backbone", work.setting.backbone, "--size", work.setting.size]
    return [*command, *chosen_options(asked), "--out", "results"]
