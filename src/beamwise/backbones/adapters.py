"""Low-rank adapters on a `transformers` model: putting them in, and merging them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from torch import nn

from beamwise.backbones.pretrained_config import LoraConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def add_adapters(model: PreTrainedModel, config: LoraConfig) -> None:
    """Put fresh adapters into a model, in place, and freeze all else; adapters are fp32.

    Raises:
        ValueError: One line, if peft is not installed, no layer has such a name, or the output
            embedding has.
    """
    try:
        import peft
    except ImportError:
        raise ValueError("backbone.lora needs peft: pip install 'beamwise[text]'") from None
    settings = peft.LoraConfig(
        r=config.r,
        lora_alpha=config.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
    )
    linear = sorted({name.split(".")[-1] for name, m in model.named_modules() if _is_linear(m)})
    try:
        peft.inject_adapter_in_model(settings, model)
    except ValueError as error:
        raise ValueError(
            f"lora.target_modules={list(config.target_modules)} fits no layer of "
            f"{type(model).__name__} ({str(error).splitlines()[0]}): its linear layers are "
            f"{', '.join(linear)}"
        ) from None
    if not _is_linear(model.get_output_embeddings()):
        raise ValueError(
            f"lora.target_modules={list(config.target_modules)} adapts the output embedding, which "
            "logits are formed with: leave it out"
        )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    model.train(model.training)  # the new modules too


def merged_copy(model: PreTrainedModel) -> PreTrainedModel:
    """A copy in fp32, with adapters merged into the weights that they adapt."""
    copied = copy.deepcopy(model).float().requires_grad_(True)
    try:
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError:  # then there are none
        return copied
    for name, module in list(copied.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            copied.set_submodule(name, module.get_base_layer().requires_grad_(True))
    if "peft_config" in vars(copied):
        del copied.peft_config
    return copied


def _is_linear(module: nn.Module | None) -> bool:
    return type(module) is nn.Linear
