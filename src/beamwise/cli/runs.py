"""What every command says of a run folder that it is given."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from cyclopts import Parameter

from beamwise.cli.output import message
from beamwise.cli.parameters import Flag
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


@Parameter(name="*")
@dataclass(frozen=True)
class ForeignOptions:
    """A model that was not trained here, as the command line gives it."""

    model: Path | None = None
    """Folder of a T5 or Llama of transformers; with --catalog and --data."""
    catalog: Path | None = None
    """The model's items: CSV, TSV, Parquet or .npy of codes or tokens, or a catalog folder."""
    codebook_size: int | None = None
    """The file holds codes, not tokens: token = 2 + level * codebook_size + code."""
    end_token: Flag = False
    """Every item of --catalog also ends with the model's end token."""
    max_history: int | None = None
    """Most recent items of a history that the model reads; 20 where not given."""
    data_split: str | None = None
    """How --data is split, as data.split.name says of a run; leave-one-out where not given."""

    def open(self, data: Path | None) -> ForeignModel | None:
        """The model with its catalog and data, on a GPU if there is one; None without --model.

        Args:
            data: What was given as `--data`.

        Raises:
            ValueError: If an option is given that only a foreign model has, or something does not
                fit.
        """
        given = {
            name: value
            for name, value in asdict(self).items()
            if value is not None and value is not False
        }
        if self.model is not None:
            if self.data_split is not None:
                given["split"] = {"name": given.pop("data_split")}
            settings = {"data": data, **given}
            device = "cuda" if torch.cuda.is_available() else "cpu"
            return open_foreign_model(parse_config(ForeignModelConfig, settings, "--model"), device)
        if given:
            option = next(iter(given)).replace("_", "-")
            raise ValueError(f"--{option} belongs to --model: a run has its own")
        return None


NO_FOREIGN_MODEL = ForeignOptions()


def tell_what_is_read(foreign: ForeignModel) -> None:
    """Say how much of a history a foreign model reads, and which targets it is asked for."""
    data = foreign.run.config.data
    message(
        f"{foreign.run.folder}: reads the latest {data.max_history} items of a history, and is "
        f"asked for {data.split.name} targets; --max-history and --data-split change that"
    )
