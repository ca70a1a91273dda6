"""Evaluate a run folder on the data that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl
import torch
from accelerate import Accelerator

from beamwise.backbones.base import Backbone
from beamwise.config import parse_config
from beamwise.evaluation import Evaluation, EvaluationConfig, evaluate_windows
from beamwise.sequences.windows import Windows
from beamwise.training.run import Run, open_run
from beamwise.training.run_data import RunData

Split = Literal["test", "validation"]
SPLITS: tuple[Split, ...] = ("test", "validation")


def evaluate(
    run: Path | str,
    split: Split = "test",
    config: EvaluationConfig | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate a run and save the result into its folder (`result_folder`).

    Under torch.distributed every process calls this; the first one saves.

    Args:
        run: A run folder.
        split: Which targets.
        config: How to search and what to count; the run's own settings where not given.
        progress: Told after every batch how many users are done, and of how many.

    Raises:
        ValueError: If the run or its data are missing, damaged, or no longer fit each other.
    """
    accelerator = Accelerator()
    opened = open_run(Path(run), accelerator.device)
    data = data_of(opened)
    windows = part_of(data, split)
    done = 0

    def advance(users: int) -> None:
        nonlocal done
        done += users
        if progress is not None:
            progress(done, len(windows))

    evaluation = evaluate_windows(
        cast(Backbone, opened.backbone),
        windows,
        opened.catalog,
        config or opened.config.evaluation,
        advance,
    )
    evaluation = replace(evaluation, per_user=_named(evaluation.per_user, data, windows))
    if accelerator.is_main_process:
        evaluation.save(result_folder(opened.folder, split))
    return evaluation


def result_folder(run: Path, split: Split) -> Path:
    """Where an evaluation is saved: the run folder for the test, a folder in it for others."""
    return run if split == "test" else run / split


def data_of(run: Run) -> RunData:
    """The data that a run was trained on.

    Raises:
        ValueError: If they are missing or damaged, or their catalog is no longer the run's.
    """
    data = RunData.load(run.config.data)
    if data.catalog.version != run.catalog.version:
        raise ValueError(
            f"{run.config.data.folder} has catalog {data.catalog.version}, {run.folder} was "
            f"trained with {run.catalog.version}: restore that data, or train again"
        )
    return data


def part_of(data: RunData, split: str) -> Windows:
    """The windows of one part of the data.

    Raises:
        ValueError: If the split is unknown.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    return data.test if split == "test" else data.validation


def _named(per_user: pl.DataFrame, data: RunData, windows: Windows) -> pl.DataFrame:
    """The same rows with the data's own ids of user and target."""
    users = windows.users[torch.from_numpy(per_user["row"].to_numpy().copy())]
    return per_user.with_columns(
        user_id=data.user_ids.gather(users.numpy()),
        item_id=data.catalog.item_ids.gather(per_user["target"]),
    )


def with_changes(config: EvaluationConfig, changes: Mapping[str, Any]) -> EvaluationConfig:
    """The same evaluation with some settings changed, without cutoffs that the beam cannot fill.

    Raises:
        ConfigError: If a setting is unknown or its value is not accepted.
    """
    settings = config.model_dump() | dict(changes)
    width = settings["beam_width"]
    settings["ks"] = tuple(k for k in config.ks if k <= width) or (max(1, width),)
    return parse_config(EvaluationConfig, settings, source="evaluation")
