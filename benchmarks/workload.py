"""What both sides work on: the data, the model's sizes, and a trainer over them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import gettempdir

import torch
from harness import emit
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones import BACKBONES, AnyBackboneConfig, build_backbone
from beamwise.config import parse_config
from beamwise.data.dataset import Dataset
from beamwise.data.sources import SemanticIdJsonConfig, SimulatedShopConfig, read_source
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids
from beamwise.training.config import DataConfig, RunConfig
from beamwise.training.loop import Trainer
from beamwise.training.reference import build_reference
from beamwise.training.run_data import RunData
from beamwise.training.stages import stages_of

MAX_HISTORY = 20
SEED = 0


@dataclass(frozen=True)
class Sizes:
    """How much work a round is; the defaults are those of the published setting."""

    backbones: Mapping[str, AnyBackboneConfig] = field(
        default_factory=lambda: {name: kind.Config() for name, kind in BACKBONES.items()}
    )
    """By name."""
    batch_size: int = 128
    """Training examples of an optimiser step, and users searched together."""
    num_negatives: int = 100
    pairwise_examples: int = 16
    """Examples of a pairwise round of the alternative, at once: its batch does not fit."""
    memory_examples: tuple[int, int] = (4, 12)
    """Examples at once at which the alternative's memory is measured."""
    beam_width: int = 20
    num_shop_users: int = 3_000


@dataclass(frozen=True)
class Setting:
    """What is trained, and how."""

    backbone: str = "tiger"
    objective: str = "ce"
    precision: str = "fp32"
    packing: str = "window"
    as_alternative: bool = False
    """With equal prefix weights, which the alternative has as well; else the objective's own."""

    def __str__(self) -> str:
        """As the lines name it; packing only where there is a choice."""
        packing = (self.packing,) if BACKBONES[self.backbone].causal_context else ()
        return ", ".join((self.backbone, self.objective, *packing, self.precision))


def load_data(folder: Path | None, sizes: Sizes) -> RunData:
    """The JSON triple in `folder`, else the Office data where they are found, else the shop."""
    folder = folder or _office_folder()
    if folder is None:
        dataset = read_source(SimulatedShopConfig(num_users=sizes.num_shop_users))
    else:
        dataset = read_source(SemanticIdJsonConfig(folder=folder))
    return _split(dataset)


def describe_data(folder: Path | None, data: RunData) -> None:
    """Print what the numbers were measured on."""
    folder = folder or _office_folder()
    emit(
        "data",
        data="simulated shop: no data folder was given or found" if folder is None else folder.name,
        items=data.catalog.num_items,
        levels=data.catalog.num_levels,
        training_examples=len(data.train),
        test_users=len(data.test),
    )


def build_trainer(data: RunData, sizes: Sizes, setting: Setting) -> Trainer:
    """What `beamwise train` runs, over fresh weights, without a word on disk while it steps."""
    never = 10**9
    nowhere = Path(gettempdir())
    objective = {"name": setting.objective}
    if setting.as_alternative and setting.objective.startswith("apao"):
        objective["prefix_weights"] = "uniform"
    settings = {
        "out": nowhere,
        "data": {"folder": nowhere, "max_history": MAX_HISTORY},
        "backbone": sizes.backbones[setting.backbone].model_dump(),
        "objective": objective,
        "negatives": {"count": sizes.num_negatives},
        "training": {
            "batch_size": sizes.batch_size,
            "micro_batch_size": sizes.batch_size,
            "precision": setting.precision,
            "packing": setting.packing,
            "seed": SEED,
            "checkpoint_steps": never,
            "log_steps": never,
        },
    }
    config = parse_config(RunConfig, settings, source="benchmark")
    torch.manual_seed(SEED)
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    (stage,) = stages_of(config)
    reference = build_reference(stage.objective.needs.reference, backbone, data.catalog)
    return Trainer(config, data, backbone, replace(stage, reference=reference))


def steps_of_epoch(trainer: Trainer, count: int) -> list[Int64[Tensor, " rows"]]:
    """The rows of the first steps of an epoch, full ones.

    Raises:
        ValueError: If there are too few rows.
    """
    num_full = len(trainer.packs.targets) // trainer.config.training.batch_size
    if num_full < count:
        raise ValueError(
            f"{len(trainer.packs.targets)} training examples make {num_full} steps, {count} are "
            "needed: lower the repeats or steps, or give more data"
        )
    return trainer.steps(epoch=0)[:count]


def _split(dataset: Dataset) -> RunData:
    config = DataConfig(folder=Path("in-memory"), max_history=MAX_HISTORY)
    return RunData.split(config, dataset, catalog_from_semantic_ids(dataset))


def _office_folder() -> Path | None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BEAMWISE_DATA", beside)) / "office"
    return folder if folder.is_dir() else None
