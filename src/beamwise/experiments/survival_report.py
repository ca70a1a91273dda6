"""The survival report of runs: measured, written beside their results, and put side by side."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from accelerate import Accelerator

from beamwise.backbones.base import Backbone
from beamwise.evaluation import EvaluationConfig
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.evaluation.survival_figures import Survival
from beamwise.evaluation.survival_measure import measure_survival
from beamwise.experiments.evaluate_run import (
    Split,
    data_of,
    part_of,
    result_folder,
    unfinished_epoch,
    with_ids,
)
from beamwise.experiments.saved_survival import SURVIVAL_FILE
from beamwise.report.survival_page import survival_page
from beamwise.report.survival_plot import plot_report
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, weights_version
from beamwise.training.provenance import provenance
from beamwise.training.run import Run, open_run
from beamwise.training.run_data import RunData

USERS_FILE = "survival.parquet"
PICTURE_FILE, PAGE_FILE = "survival.png", "survival.html"
PICTURE_SUFFIX = ".png"
COMPARED = "survival-compared"
"""Stem of the picture and the page of several runs, in the first one's folder."""
Progress = Callable[[int, int], None]


def survival_report(
    run: Path | str,
    split: Split = "test",
    config: SurvivalConfig | None = None,
    *,
    data: Path | str | None = None,
    progress: Progress | None = None,
) -> Survival:
    """Measure what beams keep and lose of a run, and save the report where its results are.

    Writes `survival.json` (all figures), `survival.parquet` (a row a user), `survival.png` and
    `survival.html`. Under torch.distributed every process calls this; the first one writes.

    Args:
        run: A run folder.
        split: Which targets.
        config: Searches and cutoffs; those of the run's own evaluation where not given.
        data: Dataset folder in place of the run's own, of the same tokenizer.
        progress: Told after every batch how many users are done, and of how many.

    Raises:
        ValueError: If the run or its data are missing, damaged or do not fit each other, or the
            settings do not fit the catalog.
    """
    accelerator = Accelerator()
    other = None if data is None else Path(data)
    opened = open_run(Path(run), accelerator.device, other)
    config = config or settings_like(opened.config.evaluation)
    begin = time.perf_counter()
    survival = diagnose(opened, data_of(opened), split, config, progress)
    seconds = time.perf_counter() - begin
    if accelerator.is_main_process:
        facts = {
            "run": str(run),
            "split": split,
            "data": None if other is None else str(other),
            "unfinished": unfinished_epoch(opened.folder) is not None,
            "seconds": seconds,
            "weights": weights_version(opened.folder / CHECKPOINT_FOLDER),
            "made_by": asdict(provenance(accelerator.device)),
        }
        save_report(result_folder(opened.folder, split, other), survival, facts)
    return survival


def diagnose(
    run: Run,
    data: RunData,
    split: Split = "test",
    config: SurvivalConfig | None = None,
    progress: Progress | None = None,
) -> Survival:
    """The report on an opened run, or on a foreign model that was opened like one; writes nothing.

    Args:
        run: Its model and catalog, on one device.
        data: Users, histories and targets.
        split: Which targets.
        config: As in `survival_report`.
        progress: As in `survival_report`.

    Raises:
        ValueError: As `measure_survival`.
    """
    windows = part_of(data, split)
    config = config or settings_like(run.config.evaluation)
    backbone = cast(Backbone, run.backbone)
    survival = measure_survival(backbone, windows, run.catalog, config, progress)
    return replace(survival, per_user=with_ids(survival.per_user, data, windows))


def settings_like(evaluation: EvaluationConfig) -> SurvivalConfig:
    """Report on the search that an evaluation makes.

    Raises:
        ValueError: If it has a width of its own for every level.
    """
    if not isinstance(evaluation.beam_width, int):
        raise ValueError(
            f"evaluation.beam_width={list(evaluation.beam_width)} has a width a level, and the "
            "survival report follows beams of one width: give it one, as --beam-width 20"
        )
    return SurvivalConfig(
        ks=evaluation.ks,
        beam_width=evaluation.beam_width,
        mask=evaluation.mask,
        batch_size=evaluation.batch_size,
    )


def check_comparable(configs: Mapping[str, SurvivalConfig]) -> None:
    """Refuse to put reports on different searches side by side; their masks may differ.

    Args:
        configs: The settings of each report, by the name of the model.

    Raises:
        ValueError: If the widths of the beams or the numbers of results differ.
    """
    asked = {
        "beam_width": ({name: c.beam_width for name, c in configs.items()}, "--beam-width 20"),
        "the last of ks": ({name: c.top_k for name, c in configs.items()}, "--set ks=[5,10,20]"),
    }
    for setting, (values, option) in asked.items():
        if len(set(values.values())) > 1:
            found = ", ".join(f"{name} has {value}" for name, value in values.items())
            raise ValueError(
                f"reports side by side need the same search, and {setting} differs: {found}: give "
                f"all of them one, as {option}"
            )


def check_page(page: Path) -> None:
    """Refuse a page that cannot be written, or that its own picture would overwrite.

    Raises:
        ValueError: If the page or its picture is a folder, the page has the name of the picture, or
            something above it is no folder.
    """
    if page.is_dir():
        raise ValueError(f"{page} is a folder: name a file, as {page / PAGE_FILE}")
    if page.suffix.lower() == PICTURE_SUFFIX:
        raise ValueError(
            f"{page} is the name of the page's picture, which goes beside it: name the page .html"
        )
    if page.with_suffix(PICTURE_SUFFIX).is_dir():
        raise ValueError(
            f"{page.with_suffix(PICTURE_SUFFIX)} is a folder, and the name of the page's picture: "
            f"name the page otherwise than {page.name}"
        )
    for folder in page.parents:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is no folder, so {page} cannot be written: name another")


def save_report(folder: Path, survival: Survival, facts: Mapping[str, Any]) -> None:
    """Write the figures, the users, the picture and the page of one model into `folder`.

    Args:
        folder: Made if absent.
        survival: What was measured.
        facts: `run`, its name, `split`, and whatever else the figures should say.
    """
    folder.mkdir(parents=True, exist_ok=True)
    survival.per_user.write_parquet(folder / USERS_FILE)
    named = {str(facts["run"]): survival}
    _write_text(folder / PAGE_FILE, survival_page(named, title_of(named, facts["split"])))
    plot_report(named, folder / PICTURE_FILE)
    text = json.dumps(figures(survival, facts), indent=1, allow_nan=False, ensure_ascii=False)
    _write_text(folder / SURVIVAL_FILE, text + "\n")


def figures(survival: Survival, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `survival.json` says: the facts given, the settings and all that was measured."""
    settings = survival.config.model_dump(mode="json")
    return {**facts, "settings": settings, **survival.as_dict()}


def compare_survival(survivals: Mapping[str, Survival], split: str, page: Path) -> Path:
    """Write a page of several models side by side, and their picture beside it as PNG.

    Under torch.distributed the first process writes.

    Args:
        survivals: By name.
        split: Which targets, for the title.
        page: HTML file to write; its folder is made if absent.

    Returns:
        The picture.

    Raises:
        ValueError: If there are no models, or more than colours to tell them apart, or they were
            asked of different searches, or the page cannot be written.
    """
    check_page(page)
    check_comparable({name: survival.config for name, survival in survivals.items()})
    picture = page.with_suffix(PICTURE_SUFFIX)
    if Accelerator().is_main_process:
        shown = short_names(survivals)
        text = survival_page(shown, title_of(shown, split))
        page.parent.mkdir(parents=True, exist_ok=True)
        _write_text(page, text)
        plot_report(shown, picture)
    return picture


def short_names(survivals: Mapping[str, Survival]) -> dict[str, Survival]:
    """Names that are paths, without the folder that all of them are in.

    As they are where that would leave nothing of one, or the same of two. Where masks differ, with
    each model's own.
    """
    names = list(survivals)
    if len(names) < 2:
        return dict(survivals)
    shared = os.path.commonpath([os.path.abspath(name) for name in names])
    short = [os.path.relpath(os.path.abspath(name), shared) for name in names]
    if os.curdir in short or len(set(short)) < len(short):
        short = names
    masks = [survival.config.mask for survival in survivals.values()]
    if len(set(masks)) > 1:
        short = [f"{name} (mask {mask})" for name, mask in zip(short, masks, strict=True)]
    return dict(zip(short, survivals.values(), strict=True))


def title_of(survivals: Mapping[str, Survival], split: str) -> str:
    """What a report is about."""
    users = " and ".join(f"{n:,}" for n in sorted({each.users for each in survivals.values()}))
    return f"What the beam lost: {split} set, {users} users"


def _write_text(path: Path, text: str) -> None:
    """The file appears complete or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
