"""Settings of a language model as backbone."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from beamwise._language_models import TINY
from beamwise.backbones.prompts import PromptConfig
from beamwise.config import Config


class TinyConfig(Config):
    """Sizes of the model `tiny`, a Llama with fresh weights; 0.8 M beside its embeddings."""

    dim: PositiveInt = 128
    """Width of the residual stream; a multiple of `num_heads`."""
    num_layers: PositiveInt = 4
    """Layers."""
    num_heads: PositiveInt = 4
    """Attention heads of a layer."""
    feedforward_dim: PositiveInt = 352
    """Width of a layer's hidden units (SwiGLU)."""
    rope_theta: PositiveFloat = 10000.0
    """Base of the rotary position embedding."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of attention weights that training drops."""

    @model_validator(mode="after")
    def _parts_into_heads(self) -> TinyConfig:
        if self.dim % (2 * self.num_heads):
            raise ValueError(
                f"dim={self.dim} must be a multiple of 2 * num_heads={2 * self.num_heads}: a "
                "head's width is even, as positions turn pairs of numbers"
            )
        return self


class LoraConfig(Config):
    """Low-rank adapters (arXiv:2106.09685): only they are trained, and kept in checkpoints."""

    r: PositiveInt = 8
    """Rank of an adapter. Any setting of `lora` turns adapters on; otherwise all is trained."""
    alpha: PositiveFloat = 16.0
    """An adapter's output is scaled by alpha / r."""
    dropout: float = Field(default=0.05, ge=0, lt=1)
    """Share of an adapter's inputs that training drops."""
    target_modules: tuple[str, ...] = Field(default=("q_proj", "v_proj"), min_length=1)
    """Names of the linear layers that get an adapter; other architectures have other names."""


class PretrainedConfig(Config):
    """A causal language model of `transformers` that reads titles and writes one."""

    name: Literal["pretrained"] = "pretrained"
    model: str = TINY
    """`tiny` (fresh weights), `smollm2` (SmolLM2-135M from a package), a folder with a model, or a
    name on the Hugging Face hub. Its tokenizer must be the one that the titles were tokenized with;
    `tiny` takes any."""
    tiny: TinyConfig = TinyConfig()
    """Sizes of `tiny`; no other model has them."""
    lora: LoraConfig | None = None
    """Adapters on frozen weights; where null, all weights are trained."""
    base_precision: Literal["fp32", "bf16"] = "fp32"
    """Of the frozen weights. bf16 halves their memory, needs `lora`, and then all products are in
    bf16; adapters, residual stream and logits stay fp32."""
    gradient_checkpointing: bool = False
    """Recompute each layer in the backward pass: less memory, about a third more time."""
    prompt: PromptConfig = PromptConfig()
    """What the model reads of a user, without the token that a tokenizer puts before every text (as
    `<s>`): a prompt that begins with it too is refused, for it would be read twice."""

    @model_validator(mode="after")
    def _freezes_what_it_can(self) -> PretrainedConfig:
        if self.lora is not None and self.model == TINY:
            raise ValueError(
                f"lora with model={TINY!r}: adapters on weights that were never trained learn "
                "little; leave lora out, or choose another model"
            )
        if self.lora is None and self.base_precision != "fp32":
            raise ValueError(
                f"base_precision={self.base_precision} without lora: weights that are trained stay "
                "fp32; set lora, or training.precision for products in bf16"
            )
        return self
