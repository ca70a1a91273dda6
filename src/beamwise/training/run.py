"""Run folders: start or continue a run, and open a finished one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import polars as pl
import torch
from accelerate import Accelerator
from torch import nn

from beamwise.backbones import AnyBackboneConfig, Backbone, PretrainedConfig
from beamwise.catalog import Catalog
from beamwise.config import read_config, write_config
from beamwise.data.dataset import CATALOG_FOLDER, ITEM_COLUMNS, TOKENIZER_FOLDER
from beamwise.data.parquet_files import UnreadableFileError, read_table
from beamwise.objectives import AnyObjectiveConfig
from beamwise.sequences.batches import WEIGHTS, mixed_seed
from beamwise.sequences.prefix_levels import num_prefixes
from beamwise.training.batch_source import BatchSource, Process
from beamwise.training.checkpoint import (
    CHECKPOINT_FOLDER,
    is_finished,
    load_weights,
    read_progress,
    weights_version,
)
from beamwise.training.config import CONFIG_FILE, RunConfig
from beamwise.training.later_catalog import read_later_catalog
from beamwise.training.loop import Trainer
from beamwise.training.provenance import Origin, provenance
from beamwise.training.reference import build_reference, check_reference, start_from
from beamwise.training.run_data import RunData
from beamwise.training.run_model import (
    check_prompts,
    describe_model,
    model_to_train,
    trained_model,
)
from beamwise.training.stages import Stage, stages_of

ITEMS_FILE = "items.parquet"


@dataclass(frozen=True, eq=False)
class Run:
    """A trained run, opened from its folder."""

    folder: Path
    config: RunConfig
    catalog: Catalog
    items: pl.DataFrame
    """`item_id`, `title` and more, in the catalog's order."""
    backbone: nn.Module
    """In evaluation mode, with the best weights."""
    data: Path
    """The dataset folder whose users and items it is asked about: the one that it was trained on,
    or a later one."""


def train(config: RunConfig, progress: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """Train a run, or continue the one that `config.out` holds; returns the run folder.

    Args:
        config: The complete description of the run.
        progress: Told after every optimiser step: epoch, step, steps, epochs, targets, and whether
            it was saved, so that stopping here loses nothing; the stage where there are several;
            the loss every `log_steps` steps and at an epoch's end.

    Raises:
        ValueError: If the data are missing or unfit, or the folder holds a run of another config.
    """
    accelerator = _accelerator()
    config = _absolute(config)
    _check_same_run(config)
    data = RunData.load(config.data)
    _check_same_catalog(config, data.catalog)
    origin = _origin(config, data, accelerator)
    torch.manual_seed(mixed_seed(config.training.seed, WEIGHTS))
    backbone = model_to_train(config, data.catalog.vocab_size)
    check_prompts(backbone, data)
    if config.start_from is not None:
        start_from(config.start_from, backbone, data.catalog)
    stages = list(zip(config.of_stages(), stages_of(config), strict=True))
    for each, stage in stages:
        _check_stage(each, stage, data, backbone, accelerator.num_processes)
    if accelerator.is_main_process:
        if not (config.out / CONFIG_FILE).is_file():
            _describe(config, data, backbone)
        if not is_finished(stages[-1][1].checkpoints):
            origin.save(config.out)
    accelerator.wait_for_everyone()
    log_lines = 0
    for each, stage in stages:
        if stage.number > 0:
            before = stages[stage.number - 1][1].checkpoints
            load_weights(before, backbone)
            log_lines = read_progress(before)["log_lines"]
        if stage.number + 1 < len(stages) and is_finished(stage.checkpoints):
            continue
        reference = build_reference(stage.objective.needs.reference, backbone, data.catalog)
        stage = replace(stage, reference=reference, log_lines=log_lines)
        trainer = Trainer(each, data, backbone, stage, accelerator)
        trainer.run(progress or _ignore)
        accelerator.wait_for_everyone()
    return config.out


def open_run(folder: Path, device: torch.device | str = "cpu", data: Path | None = None) -> Run:
    """Open a run folder.

    Args:
        folder: What training wrote.
        device: Where the model and the catalog go.
        data: A dataset folder whose catalog takes the place of the run's own: one with items added
            or retired later, or tokenized like the run's.

    Raises:
        ValueError: If something that a run folder holds is missing, damaged, or does not fit.
    """
    if not folder.is_dir():
        raise ValueError(f"no run folder at {folder}: give the folder that `beamwise train` wrote")
    if not (folder / CONFIG_FILE).is_file():
        raise ValueError(f"{folder} is not a run folder: {CONFIG_FILE} is missing")
    config = read_config(RunConfig, folder / CONFIG_FILE)
    catalog = Catalog.load(folder / CATALOG_FOLDER)
    items = _read_items(folder / CATALOG_FOLDER / ITEMS_FILE, catalog)
    backbone = trained_model(folder, config, catalog.vocab_size)
    if data is not None:
        trained = catalog
        catalog, items = read_later_catalog(data, trained)
        catalog = catalog.seen_from(trained)
    backbone = backbone.to(device).eval()
    return Run(folder, config, catalog.to(device), items, backbone, data or config.data.folder)


def _accelerator() -> Accelerator:
    """What joins this process with the others of the run.

    It must be the first to ask `accelerate` where it runs: the first answer stays.

    Raises:
        ValueError: If the process was started as one of several and would train alone.
    """
    accelerator = Accelerator()
    told = int(os.environ.get("WORLD_SIZE", "1"))
    if told != accelerator.num_processes:
        raise ValueError(
            f"WORLD_SIZE={told} and {accelerator.num_processes} process in the run: start it with "
            "`accelerate launch`, with --cpu where there is no GPU"
        )
    return accelerator


def _check_stage(
    config: RunConfig, stage: Stage, data: RunData, backbone: nn.Module, num_processes: int
) -> None:
    """Refuse what a later stage could not do before an earlier one has taken hours."""
    needs = stage.objective.needs
    of_branchings = num_prefixes(data.catalog, needs.max_prefixes)
    stage.objective.check(of_branchings if needs.branching_levels else data.catalog.num_levels)
    check_reference(needs.reference, backbone, data.catalog)
    BatchSource(cast(Backbone, backbone), data, config, needs, Process(count=num_processes))
    mined = needs.negatives and config.negatives.source == "beam"
    if config.early_stopping.metric == "loss" and (mined or needs.moving_loss):
        reason = "negatives.source=beam" if mined else "the objective's adaptive temperature"
        raise ValueError(
            f"early_stopping.metric=loss with {reason}: the same weights have another loss in "
            "every epoch, so it cannot tell which are best; set it to ndcg@K or recall@K"
        )


def _ignore(_: dict[str, Any]) -> None:
    pass


def _absolute(config: RunConfig) -> RunConfig:
    data = config.data.model_copy(update={"folder": config.data.folder.resolve()})
    stages = [
        stage.model_copy(update={"objective": _absolute_objective(stage.objective)})
        for stage in config.stages
    ]
    return config.model_copy(
        update={
            "out": config.out.resolve(),
            "start_from": None if config.start_from is None else config.start_from.resolve(),
            "data": data,
            "backbone": _absolute_model(config.backbone),
            "objective": _absolute_objective(config.objective),
            "stages": tuple(stages),
        }
    )


def _absolute_model(backbone: AnyBackboneConfig) -> AnyBackboneConfig:
    """A language model that is a folder is found wherever the run goes on."""
    if not isinstance(backbone, PretrainedConfig):
        return backbone
    folder = Path(backbone.model).expanduser()
    if not folder.is_dir():
        return backbone
    return backbone.model_copy(update={"model": str(folder.resolve())})


def _absolute_objective(objective: AnyObjectiveConfig) -> AnyObjectiveConfig:
    """A reference that is another run's folder is found wherever the run goes on."""
    reference = objective.model_dump().get("reference")
    if not isinstance(reference, Path):
        return objective
    return objective.model_copy(update={"reference": reference.resolve()})


def _check_same_run(config: RunConfig) -> None:
    if not config.out.exists():
        return
    described = (config.out / CONFIG_FILE).is_file()
    if not config.out.is_dir() or (any(config.out.iterdir()) and not described):
        raise ValueError(f"{config.out} exists and is not a run folder: choose another --out")
    if not described:
        return
    theirs = read_config(RunConfig, config.out / CONFIG_FILE).model_dump()
    ours = config.model_dump()
    changed = [key for key in ours if key != "out" and ours[key] != theirs[key]]
    if changed:
        raise ValueError(
            f"{config.out} holds a run with other settings ({', '.join(changed)}): "
            "choose another --out, or delete that folder"
        )


def _check_same_catalog(config: RunConfig, catalog: Catalog) -> None:
    if not (config.out / CONFIG_FILE).is_file():
        return
    theirs = Catalog.load(config.out / CATALOG_FOLDER).version
    if catalog.version != theirs:
        raise ValueError(
            f"{config.out} was trained with catalog {theirs}, {config.data.folder} now has "
            f"{catalog.version}: restore that catalog, or choose another --out"
        )


def _origin(config: RunConfig, data: RunData, accelerator: Accelerator) -> Origin:
    """What the run comes from, this process included.

    Raises:
        ValueError: If it was begun on other data, or with other weights.
    """
    here = provenance(accelerator.device)
    before = Origin.load(config.out)
    begin = config.start_from
    source = None if begin is None else weights_version(begin / CHECKPOINT_FOLDER)
    if before is None:
        return Origin(data.version, (here,), source)
    if before.data != data.version:
        raise ValueError(
            f"{config.out} was trained on data {before.data}, {config.data.folder} now has "
            f"{data.version}, with other users, interactions or targets: restore them, or choose "
            "another --out"
        )
    if before.source != source:
        raise ValueError(
            f"{config.out} began with other weights than {begin} has now: delete {config.out}, or "
            "choose another --out"
        )
    return before.continued(here)


def _describe(config: RunConfig, data: RunData, backbone: nn.Module) -> None:
    """Make the run folder: all that does not change in training, or after a failure nothing."""
    config.out.parent.mkdir(parents=True, exist_ok=True)
    name = config.out.name
    with TemporaryDirectory(prefix=f".{name}-", dir=config.out.parent) as beside:
        made = Path(beside) / name
        made.mkdir()
        data.catalog.save(made / CATALOG_FOLDER)
        data.items.write_parquet(made / CATALOG_FOLDER / ITEMS_FILE)
        if (config.data.folder / TOKENIZER_FOLDER).is_dir():
            shutil.copytree(config.data.folder / TOKENIZER_FOLDER, made / TOKENIZER_FOLDER)
        describe_model(backbone, made)
        write_config(config, made / CONFIG_FILE)
        made.replace(config.out)  # an empty folder there gives way


def _read_items(path: Path, catalog: Catalog) -> pl.DataFrame:
    try:
        items = read_table(path)
    except UnreadableFileError:
        raise ValueError(f"{path} is missing or damaged: train the run again") from None
    for name, dtype in ITEM_COLUMNS.items():
        if items.schema.get(name) != dtype:
            raise ValueError(f"{path} has no column {name!r} of text: train the run again")
    if not items["item_id"].equals(catalog.item_ids.rename("item_id")):
        raise ValueError(f"{path} lists other items than the catalog: train the run again")
    return items
