"""The runs of a store that an archive's commands go on from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from safetensors.torch import save

from beamwise.config import read_config
from beamwise.experiments.archive_models import check_model
from beamwise.experiments.archive_tar import ArchiveFiles
from beamwise.experiments.comparison_claim import claimed
from beamwise.experiments.moved_runs import (
    DATA_FOLDER,
    RESULTS_FOLDER,
    relative_source,
    relocated,
    runs_in,
)
from beamwise.experiments.run_state import run_files, state_of
from beamwise.training.checkpoint import BEST, LAST, read_progress
from beamwise.training.config import CONFIG_FILE, RunConfig


def pack_runs(
    files: ArchiveFiles, store: Path | None, parts: Sequence[str], data: Mapping[str, Path]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Add the runs of a store that were begun, with configs that name the archive's folders.

    Of a finished run the state of the optimiser stays behind: nothing reads it any more.

    Args:
        files: Of the archive.
        store: Where they lie; None to add none.
        parts: Folders in it, which need not be there yet; all of it where none are given.
        data: Names of the packed data folders.

    Returns:
        The runs that were added, and for those that were not a line that says why.

    Raises:
        ValueError: If there is no store, a run is damaged, reads data that are not packed or a
            language model from a folder, or begins with weights from elsewhere.
    """
    if store is None:
        return (), ()
    if not store.is_dir():
        raise ValueError(f"no folder of runs at {store}: give the folder that --out named")
    packed: list[str] = []
    left_out: list[str] = []
    for run in runs_in(store):
        label = run.relative_to(store).as_posix()
        if parts and not any(label.startswith(f"{part}/") for part in parts):
            continue
        with claimed(run) as is_ours:
            if not is_ours:
                left_out.append(f"{label}: another process is at it")
            elif state_of(run).is_begun:
                _pack_run(files, run, label, data)
                packed.append(label)
    return tuple(packed), tuple(left_out)


def _pack_run(files: ArchiveFiles, run: Path, label: str, data: Mapping[str, Path]) -> None:
    top = f"{RESULTS_FOLDER}/{label}"
    for path in run_files(run):
        name = f"{top}/{path.relative_to(run).as_posix()}"
        if path == run / CONFIG_FILE:
            files.add_text(name, _portable_config(run, Path(top), data))
        elif path.name == LAST and _is_superseded(path):
            files.add_bytes(name, _without_tensors(path.parent))
        else:
            files.add(name, path)


def _portable_config(run: Path, place: Path, data: Mapping[str, Path]) -> str:
    """The config of a run with paths from the archive's folder."""
    config = read_config(RunConfig, run / CONFIG_FILE)
    names = {folder.resolve(): name for name, folder in data.items()}
    name = names.get(config.data.folder.resolve())
    if name is None:
        raise ValueError(
            f"{run} reads {config.data.folder}, which is not packed: pack it as well, or only the "
            "parts of the store that the commands go on from"
        )
    check_model(config, str(run))
    moved = relocated(config, place, Path(DATA_FOLDER, name))
    if moved.start_from is not None and moved.start_from.parts[0] != RESULTS_FOLDER:
        raise ValueError(
            f"{run} begins with {relative_source(config)}, which is not in the store: pack only "
            "parts of the store that hold what they begin with"
        )
    return yaml.safe_dump(moved.model_dump(mode="json"), sort_keys=False)


def _is_superseded(last: Path) -> bool:
    """Whether a stage is finished and its best weights were kept, which is all that is read."""
    return (last.parent / BEST).is_file() and bool(read_progress(last.parent).get("finished"))


def _without_tensors(checkpoints: Path) -> bytes:
    """A last checkpoint that only says where training ended."""
    return save({}, {"progress": json.dumps(read_progress(checkpoints))})
