"""A Llama's weights from and to `transformers.LlamaForCausalLM`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from beamwise.backbones.base import START_TOKEN
from beamwise.catalog import END_TOKEN

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

    from beamwise.backbones.llama import Llama, LlamaConfig


def config_of(model: LlamaForCausalLM) -> LlamaConfig:
    """The sizes of a `LlamaForCausalLM` as a LlamaConfig.

    Raises:
        ValueError: If the model has a part that Llama has not.
    """
    from beamwise.backbones.llama import LlamaConfig

    theirs: Any = model.config
    rope = theirs.rope_parameters
    tied = model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    for name, value, expected in (
        ("model_type", theirs.model_type, "llama"),
        ("num_key_value_heads", theirs.num_key_value_heads, theirs.num_attention_heads),
        ("hidden_act", theirs.hidden_act, "silu"),
        ("attention_bias", theirs.attention_bias, False),
        ("mlp_bias", theirs.mlp_bias, False),
        ("rope_type", rope["rope_type"], "default"),
        ("partial_rotary_factor", rope.get("partial_rotary_factor", 1.0), 1.0),
        ("tie_word_embeddings", tied, True),
    ):
        if value != expected:
            raise ValueError(
                f"{name}={value!r}: Llama has {name}={expected!r} only; give a model that has it"
            )
    return LlamaConfig(
        dim=theirs.hidden_size,
        num_layers=theirs.num_hidden_layers,
        num_heads=theirs.num_attention_heads,
        head_dim=theirs.head_dim or theirs.hidden_size // theirs.num_attention_heads,
        feedforward_dim=theirs.intermediate_size,
        rope_theta=rope["rope_theta"],
        dropout=theirs.attention_dropout,
        layer_norm_eps=theirs.rms_norm_eps,
    )


@torch.no_grad()
def load_huggingface(llama: Llama, model: LlamaForCausalLM) -> None:
    """Copy the weights of a `LlamaForCausalLM` into a Llama of the same sizes."""
    ours, theirs = llama.state_dict(), model.state_dict()
    for name, parts in _parts(llama.config):
        blocks = [theirs[part] for part in parts]
        if len(parts) == 3:
            blocks[:2] = [side_by_side(block, llama.config.head_dim) for block in blocks[:2]]
        ours[name].copy_(torch.cat(blocks))


@torch.no_grad()
def to_huggingface(llama: Llama) -> LlamaForCausalLM:
    """A `LlamaForCausalLM` with a Llama's sizes and weights.

    Its dropout is that of attention weights; there is none elsewhere in `transformers`.

    Raises:
        ValueError: If `transformers` has no Llama of these sizes.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    config = llama.config
    if config.dim % config.num_heads:
        raise ValueError(
            f"dim={config.dim} is no multiple of num_heads={config.num_heads}, which transformers "
            "demands of a Llama: train with sizes that are"
        )
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=llama.vocab_size,
            hidden_size=config.dim,
            intermediate_size=config.feedforward_dim,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            head_dim=config.head_dim,
            rms_norm_eps=config.layer_norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            attention_dropout=config.dropout,
            tie_word_embeddings=True,
            pad_token_id=START_TOKEN,
            bos_token_id=None,
            eos_token_id=END_TOKEN,
        )
    )
    ours, theirs = llama.state_dict(), model.state_dict()
    for name, parts in _parts(config):
        blocks = list(ours[name].split([theirs[part].shape[0] for part in parts]))
        if len(parts) == 3:
            blocks[:2] = [half_a_head_apart(block, config.head_dim) for block in blocks[:2]]
        for part, block in zip(parts, blocks, strict=True):
            theirs[part].copy_(block)
    return model.train(llama.training)


def side_by_side(weight: Float[Tensor, "inner dim"], head_dim: int) -> Float[Tensor, "inner dim"]:
    """Move the two rows of a pair that a position turns next to each other, from half a head."""
    return weight.unflatten(0, (-1, 2, head_dim // 2)).transpose(1, 2).flatten(0, 2)


def half_a_head_apart(
    weight: Float[Tensor, "inner dim"], head_dim: int
) -> Float[Tensor, "inner dim"]:
    """The inverse of `side_by_side`."""
    return weight.unflatten(0, (-1, head_dim // 2, 2)).transpose(1, 2).flatten(0, 2)


def _parts(config: LlamaConfig) -> Iterator[tuple[str, list[str]]]:
    """Each of our weights and those of theirs that lie in it, in the order of their rows."""
    yield "embedding.weight", ["model.embed_tokens.weight"]
    yield "norm.weight", ["model.norm.weight"]
    for index in range(config.num_layers):
        ours, theirs = f"layers.{index}", f"model.layers.{index}"
        attention, mlp = f"{theirs}.self_attn", f"{theirs}.mlp"
        yield f"{ours}.norm.weight", [f"{theirs}.input_layernorm.weight"]
        yield (
            f"{ours}.queries_keys_values.weight",
            [f"{attention}.{part}_proj.weight" for part in "qkv"],
        )
        yield f"{ours}.out.weight", [f"{attention}.o_proj.weight"]
        yield f"{ours}.feedforward.norm.weight", [f"{theirs}.post_attention_layernorm.weight"]
        yield (
            f"{ours}.feedforward.gate_up.weight",
            [f"{mlp}.gate_proj.weight", f"{mlp}.up_proj.weight"],
        )
        yield f"{ours}.feedforward.down.weight", [f"{mlp}.down_proj.weight"]
