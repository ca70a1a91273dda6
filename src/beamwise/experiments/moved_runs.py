"""Run folders that lie elsewhere than where they were made: the paths in their configs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from beamwise.config import read_config, write_config
from beamwise.training.config import CONFIG_FILE, RunConfig

RESULTS_FOLDER, DATA_FOLDER = "results", "data"
"""Of an archive: the runs, and the data sets that they read, each in a folder of its name."""


def runs_in(folder: Path) -> Iterator[Path]:
    """Every run folder of comparisons below a folder, in order of their paths."""
    for described in sorted(folder.rglob(f"seed-*/{CONFIG_FILE}")):
        run = described.parent
        if not any(part.startswith(".") for part in run.relative_to(folder).parts):
            yield run


def relocated(config: RunConfig, out: Path, data: Path) -> RunConfig:
    """The settings of a run as they are at another place.

    The run whose weights it begins with keeps its place relative to it.

    Args:
        config: As the run folder has it, wherever it was made.
        out: The run folder now.
        data: Where the data lie now.
    """
    source = relative_source(config)
    changes: dict[str, Any] = {
        "out": out,
        "data": config.data.model_copy(update={"folder": data}),
        "start_from": None if source is None else Path(os.path.normpath(out / source)),
    }
    return config.model_copy(update=changes)


def relative_source(config: RunConfig) -> str | None:
    """The way from a run to the run whose weights it begins with; None where it has none."""
    return None if config.start_from is None else os.path.relpath(config.start_from, config.out)


def unplaced(config: RunConfig) -> dict[str, Any]:
    """All settings of a run but for the places of its folder, its data and what it begins with.

    Equal for two runs that differ in nothing but where they lie.
    """
    settings = config.model_dump(mode="json")
    settings["start_from"] = relative_source(config)
    del settings["out"], settings["data"]["folder"]
    return settings


def settle(archive: Path) -> None:
    """Let the configs of an unpacked archive's runs name the folders of the place it lies in.

    What names them already is left alone, so several processes may call this.

    Args:
        archive: Its folder, with `results` and `data` in it.

    Raises:
        ValueError: If a config is damaged.
    """
    archive = archive.resolve()
    for run in runs_in(archive / RESULTS_FOLDER):
        config = read_config(RunConfig, run / CONFIG_FILE)
        here = relocated(config, run, archive / DATA_FOLDER / config.data.folder.name)
        if here != config:
            write_config(here, run / CONFIG_FILE)
