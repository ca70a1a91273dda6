"""The frozen model that some objectives compare the trained one with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from beamwise.backbones import AnyBackbone, Pretrained, PretrainedConfig
from beamwise.catalog import Catalog
from beamwise.config import read_config
from beamwise.data.dataset import CATALOG_FOLDER
from beamwise.objectives.base import INITIAL_WEIGHTS, CandidateScores, Needs, Reference
from beamwise.scoring import Scorer, TrainingBatch
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, load_weights, read_progress
from beamwise.training.config import CONFIG_FILE, RunConfig
from beamwise.training.run_model import (
    check_same_model,
    copy_with_shared_base,
    trained_model,
)


def check_reference(reference: Reference | None, backbone: nn.Module, catalog: Catalog) -> None:
    """Refuse a reference that could not be built when its time comes.

    Args:
        reference: What the objective needs.
        backbone: The model to train.
        catalog: What it is trained with.

    Raises:
        ValueError: If it names a folder that is no run, or one that had another catalog or read
            histories otherwise.
    """
    if reference is not None and reference != INITIAL_WEIGHTS:
        folder = Path(reference)
        _check_histories(folder, _config_of(folder, catalog), backbone)


def build_reference(
    reference: Reference | None, backbone: nn.Module, catalog: Catalog
) -> Scorer | None:
    """The model that `reference` names, in evaluation mode; None where it is None.

    Weights that training leaves as they are it shares with the model to train.

    Args:
        reference: What the objective needs.
        backbone: The model to train, with the weights that it begins with.
        catalog: What it is trained with.

    Raises:
        ValueError: As `check_reference`, or if the other run cannot be read.
    """
    check_reference(reference, backbone, catalog)
    if reference is None:
        return None
    if reference == INITIAL_WEIGHTS:
        model = copy_with_shared_base(backbone)
    else:
        model = trained_backbone(Path(reference), catalog, backbone)
    return Scorer(model).requires_grad_(False).eval()


def trained_backbone(folder: Path, catalog: Catalog, beside: nn.Module | None = None) -> nn.Module:
    """The model of another run, with its best weights.

    Args:
        folder: Of that run.
        catalog: Of this one.
        beside: A model in use, whose frozen weights are shared where they are the same, whatever
            the adapters on them.

    Raises:
        ValueError: If the folder is no run, or was trained with another catalog than `catalog`.
    """
    config = _config_of(folder, catalog)
    if isinstance(beside, Pretrained):
        beside = beside.with_settings(config.backbone)
    return trained_model(folder, config, catalog.vocab_size, beside)


def start_from(folder: Path, backbone: nn.Module, catalog: Catalog) -> None:
    """Give a backbone the best weights of another run.

    Raises:
        ValueError: If the folder is no run, or its run had another catalog or another model.
    """
    check_same_model(folder, _config_of(folder, catalog), backbone)
    load_weights(folder / CHECKPOINT_FOLDER, backbone)


def _config_of(folder: Path, catalog: Catalog) -> RunConfig:
    if not (folder / CONFIG_FILE).is_file():
        raise ValueError(f"{folder} is not a run folder: {CONFIG_FILE} is missing")
    if read_progress(folder / CHECKPOINT_FOLDER).get("finished") is False:
        raise ValueError(
            f"{folder} is not trained to its end, so its best weights may still change: continue "
            "it first, or give another run"
        )
    theirs = Catalog.load(folder / CATALOG_FOLDER)
    if theirs.version != catalog.version:
        raise ValueError(
            f"{folder} was trained with catalog {theirs.version}, this run has {catalog.version}: "
            "give a run that was trained with the same items and tokens"
        )
    return read_config(RunConfig, folder / CONFIG_FILE)


def _check_histories(folder: Path, config: RunConfig, backbone: nn.Module) -> None:
    """Refuse a model to which this run's encoding of histories means something else.

    A reference scores the very batches that are made for the model to train.
    """
    if not isinstance(backbone, AnyBackbone):
        return
    ours, theirs = backbone.config, config.backbone
    if ours.name != theirs.name:
        raise ValueError(
            f"{folder} was trained with backbone.name={theirs.name}, this run has {ours.name}, "
            "which reads histories otherwise: give a reference with the same backbone.name"
        )
    if not isinstance(ours, PretrainedConfig) or not isinstance(theirs, PretrainedConfig):
        return
    theirs_by_name = theirs.prompt.model_dump()
    others = [name for name, text in ours.prompt if text != theirs_by_name[name]]
    if others:
        named = ", ".join(f"backbone.prompt.{name}" for name in others)
        raise ValueError(
            f"{folder} was trained with another {named}, and as a reference it would read the "
            f"prompts of this run: set backbone.prompt as in {folder / CONFIG_FILE}, or give "
            "another reference"
        )


def scored(
    scorer: nn.Module, batch: TrainingBatch, needs: Needs, reference: Scorer | None
) -> CandidateScores:
    """The scores that an objective needs, those of the reference on the same tree included.

    Args:
        scorer: Of the model to train, as `accelerate` wrapped it.
        batch: Tree and competition, built once for both models.
        needs: What the objective asks for.
        reference: What `build_reference` gave.
    """
    scores: CandidateScores = scorer(batch, needs)
    if reference is None:
        return scores
    theirs = reference.reference_log_probs(batch, needs.temperature)
    return replace(scores, reference_log_probs=theirs)
