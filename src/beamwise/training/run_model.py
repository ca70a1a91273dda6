"""The model of a run: built for training, or from what a run folder holds of it."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import nn

from beamwise.backbones import AnyBackbone, Pretrained, build_backbone
from beamwise.data.dataset import TOKENIZER_FOLDER
from beamwise.training.checkpoint import load_weights
from beamwise.training.config import CONFIG_FILE, RunConfig

MODEL_FOLDER = "model"
"""Of a run folder: what a language model is, beside its weights in the checkpoint."""


def model_to_train(config: RunConfig, vocab_size: int) -> AnyBackbone:
    """The model that training begins with; its fresh weights come from torch's own generator.

    Raises:
        ValueError: One line, if a language model or its tokenizer is missing or does not fit, or
            it is not the one that the run was begun with.
    """
    is_begun = (config.out / CONFIG_FILE).is_file()
    tokenizer = (config.out if is_begun else config.data.folder) / TOKENIZER_FOLDER
    backbone = build_backbone(config.backbone, vocab_size, tokenizer)
    if is_begun and isinstance(backbone, Pretrained):
        backbone.check_base(config.out / MODEL_FOLDER)
    return backbone


def describe_model(backbone: nn.Module, folder: Path) -> None:
    """Write into a run folder what `trained_model` needs beside config and checkpoint."""
    if isinstance(backbone, Pretrained):
        backbone.describe(folder / MODEL_FOLDER)


def trained_model(
    folder: Path, config: RunConfig, vocab_size: int, beside: nn.Module | None = None
) -> nn.Module:
    """The model of a run folder, with its best weights.

    Args:
        folder: Of the run.
        config: Of the run.
        vocab_size: Of its catalog.
        beside: A model in use. Where it has the same frozen weights, they are shared with it.

    Raises:
        ValueError: One line, if something is missing, damaged, or does not fit.
    """
    if isinstance(beside, Pretrained) and beside.has_the_base_of(config.backbone):
        beside.check_base(folder / MODEL_FOLDER)
        model = copy_with_shared_base(beside)
    else:
        described = folder / MODEL_FOLDER
        model = build_backbone(config.backbone, vocab_size, folder / TOKENIZER_FOLDER, described)
    load_weights(folder / "checkpoint", model)
    return model


def copy_with_shared_base(model: nn.Module) -> nn.Module:
    """A copy that has weights of its own where they are trained, and shares those that are not."""
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    return copy.deepcopy(model, {id(parameter): parameter for parameter in frozen})
