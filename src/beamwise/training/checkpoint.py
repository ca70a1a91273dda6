"""Checkpoints: one safetensors file a moment, replaced whole, never pickle.

Of a model they hold what training changes: frozen weights and second names of tied ones are left
out, and come from where the model came from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

CHECKPOINT_FOLDER = "checkpoint"
"""Of a run folder; earlier stages have folders in it."""
LAST = "last.safetensors"
"""Everything that the next step depends on."""
BEST = "best.safetensors"
"""The weights that did best on validation."""


@dataclass(frozen=True)
class State:
    """What the next step depends on, beside plain numbers."""

    model: nn.Module
    objective: nn.Module
    optimizer: torch.optim.Optimizer
    mined: dict[str, Tensor]
    """Negatives found earlier for steps still to come; replaced in place."""


def save_last(folder: Path, state: State, progress: dict[str, Any]) -> None:
    """Write weights, optimiser and objective state, and `progress` (plain JSON values)."""
    tensors = {f"model.{name}": value for name, value in _changing(state.model).items()}
    tensors |= {f"objective.{name}": value for name, value in state.objective.state_dict().items()}
    tensors |= {f"mined.{name}": value for name, value in state.mined.items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    _write(folder / LAST, tensors, {"progress": json.dumps(progress)})


def load_last(folder: Path, state: State) -> dict[str, Any]:
    """Restore what `save_last` wrote and return its `progress`.

    Raises:
        ValueError: If the file is damaged or belongs to another model.
    """
    tensors, metadata = read_tensors(folder / LAST)
    _load_module(state.model, _part(tensors, "model."), folder / LAST)
    _load_module(state.objective, _part(tensors, "objective."), folder / LAST)
    state.mined.clear()
    state.mined.update(_part(tensors, "mined."))
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = value
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": states, "param_groups": groups})
    return json.loads(metadata["progress"])


def weights_version(folder: Path) -> str | None:
    """Hash of the file that `load_weights` reads, 16 hex digits; None where there is none.

    A file is read once in a process unless it changes.
    """
    for name in (BEST, LAST):
        path = folder / name
        if path.is_file():
            written = path.stat()
            return _hash_of(path, written.st_mtime_ns, written.st_size)
    return None


@cache
def _hash_of(path: Path, written: int, size: int) -> str:  # noqa: ARG001
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_progress(folder: Path) -> dict[str, Any]:
    """The `progress` that `save_last` wrote, and nothing else of it; empty where there is none.

    Raises:
        ValueError: If the file is damaged.
    """
    if not (folder / LAST).is_file():
        return {}
    with _opened(folder / LAST) as file:
        return json.loads((file.metadata() or {})["progress"])


def is_finished(folder: Path) -> bool:
    """Whether the folder holds the checkpoint of training that came to its end.

    Raises:
        ValueError: If the file is damaged.
    """
    return bool(read_progress(folder).get("finished"))


def save_best(folder: Path, model: nn.Module) -> None:
    """Write weights alone."""
    _write(folder / BEST, _changing(model), {})


def load_weights(folder: Path, model: nn.Module) -> None:
    """Load the best weights, or the last where none were validated.

    Raises:
        ValueError: If there is no checkpoint, it is damaged, or it belongs to another model.
    """
    path = folder / BEST if (folder / BEST).is_file() else folder / LAST
    tensors, _ = read_tensors(path)
    if path.name == LAST:
        tensors = _part(tensors, "model.")
    _load_module(model, tensors, path)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        ValueError: If the file is missing or damaged.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, file.metadata() or {}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise ValueError(f"no checkpoint at {path}: train the run, or give another run folder")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or cut short ({error}): train the run again") from None


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file({name: value.contiguous() for name, value in tensors.items()}, unfinished, metadata)
    with open(unfinished, "rb") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _changing(module: nn.Module) -> dict[str, Tensor]:
    """The module's state without frozen parameters, each tied parameter by its first name."""
    every = module.named_parameters(remove_duplicate=False)
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    left_out = {name for name, _ in every} - trained
    return {n: value for n, value in module.state_dict().items() if n not in left_out}


def _load_module(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    expected = _changing(module)
    for name in sorted(expected.keys() | tensors.keys()):
        ours = tuple(expected[name].shape) if name in expected else "nothing"
        theirs = tuple(tensors[name].shape) if name in tensors else "nothing"
        if ours != theirs:
            raise ValueError(
                f"{path} does not fit this model: {name} is {theirs} in the file and {ours} here; "
                "use the config and catalog that it was trained with"
            )
    module.load_state_dict(tensors, strict=False)
