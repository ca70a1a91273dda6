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
        ValueError: One line, if peft is not installed, no layer has such a name, what has it cannot
            be adapted, or is the output embedding, or an input embedding of the same weights.
    """
    try:
        import peft
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError:
        raise ValueError("backbone.lora needs peft: pip install 'beamwise[text]'") from None
    settings = peft.LoraConfig(
        r=config.r,
        lora_alpha=config.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
    )
    layers = f"the linear layers of {type(model).__name__} are {', '.join(_adaptable(model))}"
    names = [f".{name}" for name, _ in model.named_modules()]
    for target in config.target_modules:  # peft passes over a name that no layer has
        if not any(name.endswith(f".{target}") for name in names):
            raise ValueError(f"lora.target_modules: {target!r} is the name of no layer: {layers}")
    try:
        peft.inject_adapter_in_model(settings, model)
    except ValueError as error:
        raise ValueError(
            f"lora.target_modules={list(config.target_modules)} cannot be adapted "
            f"({str(error).splitlines()[0].rstrip('. ')}): {layers}"
        ) from None
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    is_tied = head.weight is embedding.weight  # pyright: ignore[reportOptionalMemberAccess]
    if isinstance(head, BaseTunerLayer) or (is_tied and isinstance(embedding, BaseTunerLayer)):
        raise ValueError(
            f"lora.target_modules={list(config.target_modules)} adapts the output embedding, which "
            "logits are formed with, or the input embedding that shares its weights: leave it out"
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


def _adaptable(model: PreTrainedModel) -> list[str]:
    """Names of the layers that may have an adapter."""
    from transformers.pytorch_utils import Conv1D  # a linear layer of GPT-2, transposed

    head = model.get_output_embeddings()
    return sorted(
        {
            name.split(".")[-1]
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and module is not head
        }
    )
