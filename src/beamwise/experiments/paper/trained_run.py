"""What the training of one run took, from its log, and the machines that did it."""

from __future__ import annotations

from dataclasses import dataclass

from beamwise.experiments.objective_comparison import PlannedRun
from beamwise.experiments.run_summary import summarise_run
from beamwise.training.metrics_log import read_metrics
from beamwise.training.provenance import Origin, Provenance


@dataclass(frozen=True)
class TrainedRun:
    """The training of one run, without that of the run it starts from."""

    epochs: int
    """Trained, until early stopping or the limit ended it."""
    limit: int
    """Epochs that it would train at most."""
    best_epoch: int | None
    """Whose weights were kept, from 1; None where nothing was validated."""
    seconds: float | None
    """Of all optimiser steps; None where the log does not say."""
    machines: tuple[str, ...]
    """All that trained a part of it; empty where the run does not say."""
    source: str | None
    """The method whose run of the same seed it starts from."""

    @property
    def is_capped(self) -> bool:
        """Whether the limit ended it, so that more epochs might have been better."""
        return self.epochs >= self.limit

    @property
    def epoch_seconds(self) -> float | None:
        """Of optimiser steps an epoch; None where the log does not say."""
        return None if self.seconds is None or not self.epochs else self.seconds / self.epochs


def trained_run(run: PlannedRun, source: str | None) -> TrainedRun:
    """Read what a trained run says of itself.

    Raises:
        ValueError: If its log is missing or damaged.
    """
    summary = summarise_run(run.folder)
    lines = read_metrics(run.folder / "metrics.jsonl", "epoch")
    is_timed = all("train_seconds" in line for line in lines)
    origin = Origin.load(run.folder)
    made_by = () if origin is None else origin.made_by
    return TrainedRun(
        epochs=summary.epochs,
        limit=sum(stage.training.epochs for stage in run.config.of_stages()),
        best_epoch=None if summary.best_epoch is None else summary.best_epoch + 1,
        seconds=float(sum(line["train_seconds"] for line in lines)) if is_timed else None,
        machines=tuple(dict.fromkeys(map(machine, made_by))),
        source=source,
    )


def machine(maker: Provenance) -> str:
    """What times depend on; versions of the code do not count."""
    if maker.device != "cpu":
        return maker.device
    return f"{maker.processor}, {maker.threads} of {maker.cores} cores"
