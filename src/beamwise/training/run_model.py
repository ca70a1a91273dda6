"""The model of a run: built for training, or from what a run folder holds of it."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import nn

from beamwise.backbones import AnyBackbone, Pretrained, PretrainedConfig, build_backbone
from beamwise.data.dataset import TOKENIZER_FOLDER
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, load_weights
from beamwise.training.config import CONFIG_FILE, RunConfig
from beamwise.training.run_data import RunData

MODEL_FOLDER = "model"
"""Of a run folder: what a language model is, beside its weights in the checkpoint."""
HISTORIES_AT_ONCE = 2**17
"""Whose tokens are counted together: a bound on memory."""


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


def check_prompts(backbone: nn.Module, data: RunData) -> None:
    """Refuse prompts that are longer than a language model can read before anything is trained.

    Encodes the history of the most tokens of each part. Among those of about as many another may
    make a prompt that is a little longer; it is refused where it is read.

    Raises:
        ValueError: One line, if the model has too few positions.
    """
    if not isinstance(backbone, Pretrained):
        return
    catalog = data.catalog
    num_tokens = (catalog.leaf_tokens >= 0).sum(1)[catalog.leaf_of_item.long()]
    for windows in (data.train, data.validation, data.test):
        longest = []
        for rows in torch.arange(len(windows)).split(HISTORIES_AT_ONCE):
            histories = windows.histories(rows)
            lengths = num_tokens[histories.clamp(min=0)].where(histories >= 0, 0).sum(1)
            longest.append(rows[lengths.argmax()])
        if longest:
            backbone.encode_histories(windows.histories(torch.stack(longest)), catalog)


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
    load_weights(folder / CHECKPOINT_FOLDER, model)
    return model


def check_same_model(folder: Path, config: RunConfig, backbone: nn.Module) -> None:
    """Refuse another language model that has weights of the same shapes.

    Args:
        folder: Of the run whose weights are wanted.
        config: Of that run.
        backbone: The model to give them to.

    Raises:
        ValueError: One line, if the weights would mean something else in `backbone`.
    """
    theirs = config.backbone
    if not isinstance(backbone, Pretrained) or not isinstance(theirs, PretrainedConfig):
        return
    ours = backbone.config
    for name, mine, other in (
        ("tiny.num_heads", ours.tiny.num_heads, theirs.tiny.num_heads),
        ("tiny.rope_theta", ours.tiny.rope_theta, theirs.tiny.rope_theta),
        ("lora.alpha", ours.lora and ours.lora.alpha, theirs.lora and theirs.lora.alpha),
    ):
        if mine != other:
            raise ValueError(
                f"{folder} was trained with backbone.{name}={other}, this run has {mine}: its "
                f"weights mean something else here; set backbone.{name}={other}"
            )
    if ours.lora is not None:
        backbone.check_base(folder / MODEL_FOLDER)


def copy_with_shared_base(model: nn.Module) -> nn.Module:
    """A copy that has weights of its own where they are trained, and shares those that are not."""
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    return copy.deepcopy(model, {id(parameter): parameter for parameter in frozen})
