"""Titles to train on: a folder that is given, published windows, or the simulated shop's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch
from harness import emit
from workload import SEED

from beamwise.backbones import build_backbone
from beamwise.config import parse_config
from beamwise.data.dataset import CATALOG_FOLDER, TOKENIZER_FOLDER
from beamwise.data.published_targets import TARGETS_FILE
from beamwise.data.sources import read_source
from beamwise.data.sources.simulated_shop import SimulatedShopConfig
from beamwise.data.sources.title_windows import ITEMS_FILE, TitleWindowsConfig
from beamwise.tokenization import tokenize
from beamwise.tokenization.title_tokenizer import TitlesConfig
from beamwise.training.config import RunConfig
from beamwise.training.loop import Trainer
from beamwise.training.reference import build_reference
from beamwise.training.run_data import RunData
from beamwise.training.stages import stages_of

TOKENS_OF = "smollm2"
"""Whose tokens titles are in, whatever the model: a vocabulary of 49 thousand."""
MAX_HISTORY = 10


def titles_folder(given: Path | None, made: Path) -> Path:
    """A dataset folder with a catalog of titles; `made` where none is given.

    Args:
        given: Such a folder, or one of published windows; else the Toy windows where they are
            found, else the titles of the simulated shop.
        made: Where to write it.
    """
    source = given or _toy_folder()
    if source is not None and (source / CATALOG_FOLDER).is_dir():
        return source
    is_windows = source is not None and (source / ITEMS_FILE).is_file()
    config = TitleWindowsConfig(folder=source) if is_windows else SimulatedShopConfig()
    read_source(config).save(made)
    tokenize(made, TitlesConfig(model=TOKENS_OF))
    emit("data", data=source.name if is_windows else "simulated shop", tokens=TOKENS_OF)
    return made


def titles_trainer(
    folder: Path,
    model: str,
    batch_size: int,
    settings: Mapping[str, Any],
    chunk_size: int | None = None,
) -> Trainer:
    """What `beamwise train` runs on titles, over fresh weights or those of the model.

    Args:
        folder: Of the data.
        model: tiny or smollm2.
        batch_size: Examples of a step.
        settings: Further sections: the objective's, and that of negatives where it has some.
        chunk_size: Examples at once; the backbone's choice where not given.
    """
    never, nowhere = 10**9, Path(gettempdir())
    published = (folder / TARGETS_FILE).is_file()
    split = {"name": "published"} if published else {"name": "leave-one-out"}
    whole = {
        "out": nowhere,
        "data": {"folder": folder, "max_history": MAX_HISTORY, "split": split},
        "backbone": {"name": "pretrained", "model": model},
        "training": {
            "batch_size": batch_size,
            "micro_batch_size": batch_size,
            "chunk_size": chunk_size,
            "seed": SEED,
            "checkpoint_steps": never,
            "log_steps": never,
        },
        **settings,
    }
    config = parse_config(RunConfig, whole, source="benchmark")
    data = RunData.load(config.data)
    torch.manual_seed(SEED)
    tokenizer = folder / TOKENIZER_FOLDER
    backbone = build_backbone(config.backbone, data.catalog.vocab_size, tokenizer)
    (stage,) = stages_of(config)
    reference = build_reference(stage.objective.needs.reference, backbone, data.catalog)
    return Trainer(config, data, backbone, replace(stage, reference=reference))


def _toy_folder() -> Path | None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BEAMWISE_DATA", beside)) / "toy-titles"
    return folder if folder.is_dir() else None
