"""What a training run came to, read from its log of metrics."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from beamwise.config import read_config
from beamwise.training.config import CONFIG_FILE, RunConfig
from beamwise.training.metrics_log import read_metrics


@dataclass(frozen=True)
class RunSummary:
    """The end of a run in a few values; of several stages, the last gives its weights."""

    folder: Path
    epochs: int
    """Epochs trained, of all stages."""
    metric: str
    """What early stopping judged, on the validation targets."""
    best: float | None
    """Its best value; None where nothing was validated."""
    best_epoch: int | None
    """From 0, in its stage."""
    stage: int | None = None
    """The last stage begun, from 0; None where there is one only."""


def summarise_run(folder: Path) -> RunSummary:
    """Read the log of a run folder.

    Raises:
        ValueError: If the log is missing or damaged.
    """
    metric = read_config(RunConfig, folder / CONFIG_FILE).early_stopping.metric
    try:
        epochs = read_metrics(folder / "metrics.jsonl", "epoch")
    except (OSError, KeyError, json.JSONDecodeError):
        raise ValueError(f"{folder / 'metrics.jsonl'} is missing or damaged") from None
    stage = epochs[-1].get("stage") if epochs else None
    of_stage = [line for line in epochs if line.get("stage") == stage]
    validated = [line for line in of_stage if f"validation_{metric}" in line]
    if not validated:
        return RunSummary(folder, len(epochs), metric, None, None, stage)
    sign = -1 if metric == "loss" else 1
    best = max(validated, key=lambda line: sign * line[f"validation_{metric}"])
    value = best[f"validation_{metric}"]
    return RunSummary(folder, len(epochs), metric, value, best["epoch"], stage)
