"""Language models of `transformers` of a few thousand random weights, every one of which counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "attn_implementation": "sdpa",
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def tiny_model(kind: str = "llama", vocab_size: int = 23, **settings: Any) -> PreTrainedModel:
    """A model in float32 and evaluation mode; the same call gives the same weights.

    Args:
        kind: `model_type` of an architecture of `transformers`.
        vocab_size: Its tokens.
        settings: Of its config, besides the sizes.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(kind, **(SIZES | {"vocab_size": vocab_size} | settings))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        randomize(model)
    return model.eval()


def randomize(model: torch.nn.Module) -> None:
    """Fresh weights are small, norms constant and adapters zero: make every part matter."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
