"""How far a run is, by its folder alone, and whether that can be relied on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from beamwise.catalog import Catalog
from beamwise.config import read_config
from beamwise.data.dataset import CATALOG_FOLDER
from beamwise.evaluation import Evaluation
from beamwise.evaluation.evaluation import SUMMARY_FILE
from beamwise.experiments.run_summary import summarise_run
from beamwise.experiments.saved_survival import SURVIVAL_FILE, SavedSurvival
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, read_progress, read_tensors
from beamwise.training.config import CONFIG_FILE, RunConfig
from beamwise.training.stages import stages_of

RESULT_FILES = (SUMMARY_FILE, SURVIVAL_FILE)
"""What is there when a result is complete."""


class RunState(NamedTuple):
    """What was done of a run."""

    stages: tuple[tuple[bool, int], ...]
    """Of every stage, whether it is finished, and its optimiser steps; of states of the same run,
    the greater is further."""
    results: frozenset[str]
    """Its tests and reports, by their paths in the run folder."""

    @property
    def is_begun(self) -> bool:
        """Whether there is a checkpoint."""
        return any(steps for _, steps in self.stages)

    @property
    def is_finished(self) -> bool:
        """Whether it is trained to its end."""
        return self.stages[-1][0]


def state_of(run: Path) -> RunState:
    """Read how far a run is.

    Raises:
        ValueError: If its config or a checkpoint is damaged.
    """
    results = [path for path in run_files(run) if path.name in RESULT_FILES]
    return RunState(
        tuple((bool(each.get("finished")), each.get("steps", 0)) for each in _progress(run)),
        frozenset(path.relative_to(run).as_posix() for path in results),
    )


def check_whole(run: Path) -> None:
    """Read everything of a run that others rely on.

    Raises:
        ValueError: If a checkpoint, the log, the catalog or a result is damaged or cut short.
    """
    for path in sorted((run / CHECKPOINT_FOLDER).rglob("*.safetensors")):
        read_tensors(path)
    log = run / "metrics.jsonl"
    written = log.read_bytes().count(b"\n") if log.is_file() else 0
    known = max(each.get("log_lines", 0) for each in _progress(run))
    if written < known:
        raise ValueError(f"{log} is cut short: it has {written} lines, the checkpoint had {known}")
    state = state_of(run)
    if state.is_finished:  # what goes on forgets lines that were written after its checkpoint
        summarise_run(run)
    Catalog.load(run / CATALOG_FOLDER)
    for name in state.results:
        folder = (run / name).parent
        if name.endswith(SUMMARY_FILE):
            Evaluation.load(folder)
        else:
            SavedSurvival.load(folder)


def run_files(run: Path) -> Iterator[Path]:
    """The files of a run folder, without what is still being written."""
    for path in sorted(run.rglob("*")):
        parts = path.relative_to(run).parts
        is_hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not is_hidden and path.suffix != ".unfinished":
            yield path


def _progress(run: Path) -> list[dict[str, Any]]:
    """What the last checkpoint of every stage knows, wherever the config says that the run is."""
    config = read_config(RunConfig, run / CONFIG_FILE).model_copy(update={"out": run})
    return [read_progress(stage.checkpoints) for stage in stages_of(config)]
