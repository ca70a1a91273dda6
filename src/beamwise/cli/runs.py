"""What every command says of a run folder that it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from beamwise.cli.output import message
from beamwise.config import parse_config
from beamwise.experiments.evaluate_run import unfinished_epoch
from beamwise.experiments.foreign_model import ForeignModel, ForeignModelConfig, open_foreign_model


def tell_if_unfinished(run: Path) -> None:
    """Say that training is not at its end, since the best weights may still change.

    Says nothing where there is no such run, which opening it will say, or where only its best
    weights were kept, which tells nothing of its end.

    Raises:
        ValueError: If the last checkpoint is damaged.
    """
    epoch = unfinished_epoch(run)
    if epoch is not None:
        message(
            f"{run}: training is not finished (in epoch {epoch}), these are its best weights so "
            "far, or its last where none were validated: continue it with "
            f"beamwise train --config {run / 'config.yaml'}"
        )


def open_foreign(model: Path | None, data: Path | None, **options: Any) -> ForeignModel | None:
    """The model of `--model` with its catalog and data; None where the option is not given.

    It is on a GPU if there is one, as runs are.

    Args:
        model: What was given as `--model`.
        data: What was given as `--data`.
        options: `catalog`, `codebook_size`, `end_token` and `max_history` as given; None or false
            where not.

    Raises:
        ValueError: If an option is given that only a foreign model has, or something does not fit.
    """
    given = {
        name: value for name, value in options.items() if value is not None and value is not False
    }
    if model is not None:
        settings = {"model": model, "data": data, **given}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return open_foreign_model(parse_config(ForeignModelConfig, settings, "--model"), device)
    if given:
        option = next(iter(given)).replace("_", "-")
        raise ValueError(f"--{option} belongs to --model: a run has its own")
    return None


def tell_what_is_read(foreign: ForeignModel) -> None:
    """Say how much of a history a foreign model reads, and which targets it is asked for."""
    data = foreign.run.config.data
    message(
        f"{foreign.run.folder}: reads the latest {data.max_history} items of a history, and is "
        f"asked for {data.split.name} targets; --max-history changes the first"
    )
