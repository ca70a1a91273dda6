"""Runs that a folder has already, under the name of another method or point of a grid."""

from __future__ import annotations

import json
import os
from pathlib import Path

from beamwise.config import read_config
from beamwise.experiments.moved_runs import relative_source, runs_in, unplaced
from beamwise.experiments.objective_comparison import PlannedRun
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, is_finished
from beamwise.training.config import CONFIG_FILE, RunConfig


class SameRuns:
    """The finished runs of a folder by their settings.

    A value of a grid is often the one that another method has anyway; such a run need not be
    trained twice.
    """

    def __init__(self, folder: Path) -> None:
        """Read the settings of all of them.

        Raises:
            ValueError: If a config is damaged.
        """
        self._folders: dict[str, Path] = {}
        for run in runs_in(folder) if folder.is_dir() else ():
            if is_finished(run / CHECKPOINT_FOLDER):
                config = read_config(RunConfig, run / CONFIG_FILE)
                self._folders.setdefault(_key(config, run), run)

    def of(self, run: PlannedRun) -> Path | None:
        """The folder of a finished run that is the same but for its name; None where none is.

        None too where something lies in the run's own place, whatever it is.

        Raises:
            ValueError: If it was trained on other data or weights than there are now.
        """
        found = self._folders.get(_key(run.config, run.folder))
        if found is None or run.folder.exists():
            return None
        there = run.config.model_copy(update={"out": found})
        return found if PlannedRun(run.method, run.point, run.seed, there).is_trained else None


def _key(config: RunConfig, place: Path) -> str:
    """All settings but for the places of the run and of its data.

    Args:
        config: Of the run.
        place: Where it lies, which its config may not know.
    """
    source = relative_source(config)
    begin = None if source is None else os.path.normpath(place.resolve() / source)
    return json.dumps({**unplaced(config), "start_from": begin}, sort_keys=True)
