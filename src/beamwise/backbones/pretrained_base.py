"""The weights that adapters of a language model leave as they are, under other adapters."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def on_same_weights(model: PreTrainedModel) -> PreTrainedModel:
    """The model without its adapters: modules of its own whose weights are the same tensors.

    Args:
        model: With adapters of `add_adapters`, and unchanged by this.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    copied = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    for name, module in list(copied.named_modules()):
        if isinstance(module, BaseTunerLayer):
            copied.set_submodule(name, module.get_base_layer())
    del copied.peft_config
    return copied
