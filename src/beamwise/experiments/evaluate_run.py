"""Evaluate a run folder, and baselines beside it, on the data that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl
import torch
from accelerate import Accelerator

from beamwise.backbones.base import Backbone
from beamwise.config import parse_config
from beamwise.evaluation import (
    BASELINES,
    Evaluation,
    EvaluationConfig,
    evaluate_baseline,
    evaluate_windows,
)
from beamwise.evaluation.evaluation import SUMMARY_FILE
from beamwise.evaluation.targets import are_retired
from beamwise.sequences.windows import Windows
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, read_progress, weights_version
from beamwise.training.provenance import provenance
from beamwise.training.run import Run, open_run
from beamwise.training.run_data import RunData

Split = Literal["test", "validation"]
SPLITS: tuple[Split, ...] = ("test", "validation")
BASELINES_FOLDER = "baselines"


def evaluate(
    run: Path | str,
    split: Split = "test",
    config: EvaluationConfig | None = None,
    *,
    data: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate a run and save the result into its folder (`result_folder`).

    Under torch.distributed every process calls this; the first one saves.

    Args:
        run: A run folder.
        split: Which targets.
        config: How to search and what to count; the run's own settings where not given.
        data: Dataset folder to evaluate on in place of the run's own, of the same tokenizer.
        progress: Told after every batch how many users are done, and of how many.

    Raises:
        ValueError: If the run or its data are missing, damaged, or no longer fit each other, or the
            folder of the result holds one on other data.
    """
    accelerator = Accelerator()
    opened = open_run(Path(run), accelerator.device, _path(data))
    check_result_folder(opened.folder, split, _path(data))
    run_data = data_of(opened)
    windows = part_of(run_data, split)
    evaluation = evaluate_windows(
        cast(Backbone, opened.backbone),
        windows,
        opened.catalog,
        config or opened.config.evaluation,
        _counting(progress, len(windows)),
    )
    evaluation = replace(
        evaluation,
        per_user=with_ids(evaluation.per_user, run_data, windows),
        data=None if data is None else str(Path(data).resolve()),
        made_by=asdict(provenance(accelerator.device)),
        weights=weights_version(opened.folder / CHECKPOINT_FOLDER),
    )
    if accelerator.is_main_process:
        evaluation.save(result_folder(opened.folder, split, _path(data)))
    return evaluation


def evaluate_baselines(
    run: Path | str,
    split: Split = "test",
    config: EvaluationConfig | None = None,
    *,
    data: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Evaluation]:
    """Rank the targets of a run by every baseline, counted on the run's training part.

    Under torch.distributed every process calls this.

    Args:
        run: A run folder; its model is not used.
        split: Which targets.
        config: Cutoffs and users at once; the run's own settings where not given.
        data: As for `evaluate`.
        progress: Told how many rankings are done, and of how many: users times baselines.

    Returns:
        By the name of the baseline; `save_baselines` keeps them.

    Raises:
        ValueError: As `evaluate`.
    """
    opened = open_run(Path(run), data=_path(data))
    run_data = data_of(opened)
    windows = part_of(run_data, split)
    advance = _counting(progress, len(BASELINES) * len(windows))
    evaluations: dict[str, Evaluation] = {}
    for name, kind in BASELINES.items():
        baseline = kind.fit(kind.config(), run_data.train_sequences, run_data.catalog.num_items)
        evaluation = evaluate_baseline(
            baseline, windows, run_data.catalog, config or opened.config.evaluation, advance
        )
        per_user = with_ids(evaluation.per_user, run_data, windows)
        evaluations[name] = replace(evaluation, per_user=per_user)
    return evaluations


def save_baselines(folder: Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write what `evaluate_baselines` gave into a result folder, a folder a baseline.

    Under torch.distributed the first process writes.
    """
    if Accelerator().is_main_process:
        for name, evaluation in evaluations.items():
            evaluation.save(folder / BASELINES_FOLDER / name)


def result_folder(run: Path, split: Split, data: Path | None = None) -> Path:
    """Where an evaluation is saved: the run folder for the test, a folder in it for the rest.

    Results on other data than the run's own are in a folder named after theirs.
    """
    folder = run if data is None else run / f"on-{data.resolve().name}"
    return folder if split == "test" else folder / split


def check_result_folder(run: Path, split: Split, data: Path | None) -> None:
    """Refuse to write the result on one dataset over that on another of the same name.

    Raises:
        ValueError: If there is such a result, or the one that is there is damaged.
    """
    folder = result_folder(run, split, data)
    if data is None or not (folder / SUMMARY_FILE).is_file():
        return
    before = Evaluation.load(folder).data
    if before is not None and before != str(data.resolve()):
        raise ValueError(
            f"{folder} holds the result on {before}, which has the same name as {data.resolve()}: "
            "rename or remove that result, or rename one of the datasets"
        )


def num_retired_targets(data: RunData, windows: Windows) -> int:
    """Targets that the catalog has retired: nothing recommends them, so they count as misses."""
    targets = windows.targets(torch.arange(len(windows)))
    return int(are_retired(data.catalog, targets).sum())


def with_ids(per_user: pl.DataFrame, data: RunData, windows: Windows) -> pl.DataFrame:
    """The same rows with the data's own ids of user and target.

    Args:
        per_user: Has `row`, the number of the window, and `target`, an item index.
        data: Whose ids.
        windows: Of that data.
    """
    users = windows.users[torch.from_numpy(per_user["row"].to_numpy().copy())]
    return per_user.with_columns(
        user_id=data.user_ids.gather(users.numpy()),
        item_id=data.catalog.item_ids.gather(per_user["target"]),
    )


def unfinished_epoch(run: Path) -> int | None:
    """The epoch, from 1, in which the run's training stopped before its end.

    None where it came to its end, and where its folder does not say: there is no run, or only its
    best weights were kept.

    Raises:
        ValueError: If the last checkpoint is damaged.
    """
    progress = read_progress(run / CHECKPOINT_FOLDER)
    return None if not progress or progress.get("finished") else progress["epoch"] + 1


def data_of(run: Run) -> RunData:
    """The data that an opened run is asked about, split as its settings say.

    Raises:
        ValueError: If they are missing or damaged, or their catalog is not the run's.
    """
    config = run.config.data.model_copy(update={"folder": run.data})
    data = RunData.load(config)
    if data.catalog.version != run.catalog.version:
        raise ValueError(
            f"{run.data} has catalog {data.catalog.version}, {run.folder} was trained with "
            f"{run.catalog.version}: give --data {run.data} if items were added or retired since, "
            "else restore that data, or train again"
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


def _counting(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    """What tells `progress` the sum of the numbers it is called with."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return advance


def _path(folder: Path | str | None) -> Path | None:
    return None if folder is None else Path(folder)


def with_changes(config: EvaluationConfig, changes: Mapping[str, Any]) -> EvaluationConfig:
    """The same evaluation with some settings changed, without cutoffs that the beam cannot fill.

    Raises:
        ConfigError: If a setting is unknown or its value is not accepted.
    """
    settings = config.model_dump() | dict(changes)
    width = settings["beam_width"]
    last = width[-1] if isinstance(width, Sequence) else width
    settings["ks"] = tuple(k for k in config.ks if k <= last) or (max(1, last),)
    return parse_config(EvaluationConfig, settings, source="evaluation")
