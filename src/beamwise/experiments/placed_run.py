"""A run folder that takes its place in one step, so that a kill leaves the old or the new."""

from __future__ import annotations

import shutil
from pathlib import Path

from beamwise.config import write_config
from beamwise.experiments.run_state import run_files, state_of
from beamwise.training.config import CONFIG_FILE, RunConfig


def put_run(run: Path, here: RunConfig) -> None:
    """Copy a run to its place, with the results of both where a finished one is there.

    The caller has claimed the place. Killed at any moment, either state is there, or `recover_run`
    brings back the one before.

    Args:
        run: The folder to copy; it is only read.
        here: Its settings at the new place, which `out` names.
    """
    target = here.out
    incoming, before = beside(target)
    shutil.rmtree(incoming, ignore_errors=True)
    _copy(run, incoming)
    write_config(here, incoming / CONFIG_FILE)
    if target.is_dir():
        if (target / CONFIG_FILE).is_file() and state_of(target).is_finished:
            _copy(target, incoming)  # finished there too, so what is here already stays as it is
        target.rename(before)
    incoming.rename(target)
    shutil.rmtree(before, ignore_errors=True)


def recover_run(target: Path) -> None:
    """Bring back what was moved away by one that was killed, and remove what it left."""
    incoming, before = beside(target)
    if before.is_dir() and not target.exists():
        before.rename(target)
    for left in (incoming, before):
        if left.exists():
            shutil.rmtree(left)


def beside(target: Path) -> tuple[Path, Path]:
    """Where a run is gathered, and where the one before it goes."""
    return (
        target.with_name(f".{target.name}.incoming"),
        target.with_name(f".{target.name}.before"),
    )


def _copy(run: Path, folder: Path) -> None:
    for path in run_files(run):
        copy = folder / path.relative_to(run)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
