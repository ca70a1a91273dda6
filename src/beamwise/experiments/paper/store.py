"""The store of the paper's experiments: a folder a setting, sections in it, and one page of all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from beamwise.experiments.comparison_report import write_comparison_report
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.experiments import EXPERIMENTS
from beamwise.experiments.paper.method_notes import changes
from beamwise.experiments.paper.setting import DATASETS, Setting
from beamwise.experiments.paper.title_setting import TitleSetting
from beamwise.report.report_page import report_page
from beamwise.report.section import Section
from beamwise.report.section_files import write_section

DATA_SECTION = "table2"
"""The section that is of a data set alone, in a folder of its name."""
PAGE_FILE = "report.html"
INTRODUCTION = (
    "What the APAO and BEAR papers report, run again with this library: tables and figures from "
    "raw runs, with intervals, tests of significance, and the papers' numbers beside ours. Each "
    "part names the code and machines that made it, and the command that makes it again.",
    "Sizes: the paper's models and schedules, or small ones that a CPU trains, which a heading "
    "then says. Small models answer whether differences between methods have the paper's "
    "direction, not whether its numbers are right.",
)


def write_experiment(name: str, evidence: Evidence) -> Section:
    """Write an experiment's section, and the whole comparison behind it as `NAME-runs`.

    In the latter the paper's figures stand beside ours only where the models are the paper's.

    Args:
        name: One of `EXPERIMENTS`.
        evidence: Its runs.

    Raises:
        ValueError: If nothing is there to report, or a result is damaged.
    """
    experiment, setting = EXPERIMENTS[name], evidence.setting
    section = _told_of_changes(experiment.section(evidence), evidence.changed)
    write_section(section, evidence.comparison.out)
    if not experiment.is_view:
        printed: dict[str, dict[str, float]] = {}
        if experiment.printed is not None and evidence.has_the_papers_models:
            printed = experiment.printed(setting)
        runs = (evidence.comparison, evidence.methods, evidence.seeds)
        write_comparison_report(*runs, printed or None, f"{name}-runs")
    return section


def _told_of_changes(section: Section, changed: Sequence[str]) -> Section:
    """The section, saying which settings are not the experiment's own."""
    if not changed:
        return section
    setting = f"{section.setting}, changed settings"
    method = (*section.method, changes(changed))
    return section.model_copy(update={"setting": setting, "method": method})


def sections_of(store: Path) -> list[Section]:
    """All sections of a store: the data's first, then setting by setting.

    Raises:
        ValueError: If there are none, or one is damaged.
    """
    return list(_sections_by_path(store).values())


def _sections_by_path(store: Path) -> dict[Path, Section]:
    paths = [store / dataset / f"{DATA_SECTION}.json" for dataset in DATASETS]
    for kind in (Setting, TitleSetting):
        names = [name for name, experiment in EXPERIMENTS.items() if experiment.setting is kind]
        for size, dataset, backbone in product(kind.sizes, kind.datasets, kind.backbones):
            folder = store / kind(dataset, backbone, size).folder
            paths += [folder / f"{name}.json" for name in names]
    found = {path: Section.load(path) for path in paths if path.is_file()}
    if not found:
        raise ValueError(
            f"no results in {store}: run an experiment first, as `beamwise reproduce table1`, "
            "with the same --out"
        )
    return found


def write_page(store: Path) -> tuple[Path, Sequence[Section]]:
    """Write every section as files again, and one page of all.

    So a store of JSON files alone, as results are kept, has its tables and pictures again.

    Returns:
        The page, and what is on it.

    Raises:
        ValueError: As `sections_of`.
    """
    found = _sections_by_path(store)
    for path, section in found.items():
        write_section(section, path.parent)
    sections = list(found.values())
    page = report_page(sections, "APAO and BEAR, reproduced", INTRODUCTION)
    unfinished = store / f".{os.getpid()}.{PAGE_FILE}"
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(store / PAGE_FILE)
    return store / PAGE_FILE, sections
