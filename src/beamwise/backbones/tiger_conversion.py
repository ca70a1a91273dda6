"""TIGER's weights from and to `transformers.T5ForConditionalGeneration`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from beamwise.backbones.base import START_TOKEN
from beamwise.catalog import END_TOKEN

if TYPE_CHECKING:
    from transformers import T5ForConditionalGeneration

    from beamwise.backbones.tiger import Tiger, TigerConfig


def config_of(model: T5ForConditionalGeneration) -> TigerConfig:
    """The sizes of a T5 as a TigerConfig.

    Raises:
        ValueError: If the model has a part that TIGER has not.
    """
    from beamwise.backbones.tiger import TigerConfig

    theirs = model.config
    if theirs.feed_forward_proj != "relu":
        raise ValueError(
            f"feed_forward_proj={theirs.feed_forward_proj!r}: Tiger has ReLU feed-forward blocks; "
            "give a T5 with feed_forward_proj='relu'"
        )
    if theirs.decoder_start_token_id not in (None, START_TOKEN):
        raise ValueError(
            f"decoder_start_token_id={theirs.decoder_start_token_id}: Tiger decodes from token "
            f"{START_TOKEN}; give a T5 that does"
        )
    if model.lm_head.weight.data_ptr() != model.shared.weight.data_ptr():
        raise ValueError(
            "the output embedding is not tied to the input embedding: Tiger has one for both; "
            "give a T5 with tied embeddings"
        )
    return TigerConfig(
        dim=theirs.d_model,
        num_encoder_layers=theirs.num_layers,
        num_decoder_layers=theirs.num_decoder_layers or theirs.num_layers,
        num_heads=theirs.num_heads,
        head_dim=theirs.d_kv,
        feedforward_dim=theirs.d_ff,
        dropout=theirs.dropout_rate,
        num_buckets=theirs.relative_attention_num_buckets,
        max_distance=theirs.relative_attention_max_distance,
        layer_norm_eps=theirs.layer_norm_epsilon,
        scale_output=theirs.scale_decoder_outputs,
    )


@torch.no_grad()
def load_huggingface(tiger: Tiger, model: T5ForConditionalGeneration) -> None:
    """Copy a T5's weights into a Tiger of the same sizes."""
    ours, theirs = tiger.state_dict(), model.state_dict()
    for name, parts in _parts(tiger.config).items():
        ours[name].copy_(torch.cat([theirs[part] for part in parts]))


@torch.no_grad()
def to_huggingface(tiger: Tiger) -> T5ForConditionalGeneration:
    """A T5 with a Tiger's sizes and weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    config = tiger.config
    settings = {
        "vocab_size": tiger.vocab_size,
        "d_model": config.dim,
        "d_kv": config.head_dim,
        "d_ff": config.feedforward_dim,
        "num_layers": config.num_encoder_layers,
        "num_decoder_layers": config.num_decoder_layers,
        "num_heads": config.num_heads,
        "relative_attention_num_buckets": config.num_buckets,
        "relative_attention_max_distance": config.max_distance,
        "dropout_rate": config.dropout,
        "layer_norm_epsilon": config.layer_norm_eps,
        "feed_forward_proj": "relu",
        "tie_word_embeddings": config.scale_output,  # T5 always ties; this decides the scaling
        "pad_token_id": START_TOKEN,
        "eos_token_id": END_TOKEN,
        "decoder_start_token_id": START_TOKEN,
    }
    model = T5ForConditionalGeneration(T5Config(**settings))
    ours, theirs = tiger.state_dict(), model.state_dict()
    for name, parts in _parts(config).items():
        rows = [theirs[part].shape[0] for part in parts]
        for part, block in zip(parts, ours[name].split(rows), strict=True):
            theirs[part].copy_(block)
    return model.train(tiger.training)


def _parts(config: TigerConfig) -> dict[str, list[str]]:
    """For each of our weights, those of a T5 that lie in it, in the order of their rows."""
    table = {"embedding.weight": ["shared.weight"]}
    for side in ("encoder", "decoder"):
        first = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        table[f"{side}_bias.weight"] = [first]
        table[f"{side}_norm.weight"] = [f"{side}.final_layer_norm.weight"]
    for index in range(config.num_encoder_layers):
        ours, theirs = f"encoder.{index}", f"encoder.block.{index}.layer"
        table |= _self_attention(ours, f"{theirs}.0", norm="norm", out="out")
        table |= _feedforward(ours, f"{theirs}.1")
    cross: list[str] = []
    for index in range(config.num_decoder_layers):
        ours, theirs = f"decoder.{index}", f"decoder.block.{index}.layer"
        attention = f"{theirs}.1.EncDecAttention"
        table |= _self_attention(ours, f"{theirs}.0", norm="self_norm", out="self_out")
        table[f"{ours}.cross_norm.weight"] = [f"{theirs}.1.layer_norm.weight"]
        table[f"{ours}.cross_queries.weight"] = [f"{attention}.q.weight"]
        table[f"{ours}.cross_out.weight"] = [f"{attention}.o.weight"]
        table |= _feedforward(ours, f"{theirs}.2")
        cross += [f"{attention}.k.weight", f"{attention}.v.weight"]
    return table | {"cross_keys_values.weight": cross}


def _self_attention(ours: str, theirs: str, *, norm: str, out: str) -> dict[str, list[str]]:
    attention = f"{theirs}.SelfAttention"
    return {
        f"{ours}.{norm}.weight": [f"{theirs}.layer_norm.weight"],
        f"{ours}.queries_keys_values.weight": [f"{attention}.{part}.weight" for part in "qkv"],
        f"{ours}.{out}.weight": [f"{attention}.o.weight"],
    }


def _feedforward(ours: str, theirs: str) -> dict[str, list[str]]:
    return {
        f"{ours}.feedforward.norm.weight": [f"{theirs}.layer_norm.weight"],
        f"{ours}.feedforward.up.weight": [f"{theirs}.DenseReluDense.wi.weight"],
        f"{ours}.feedforward.down.weight": [f"{theirs}.DenseReluDense.wo.weight"],
    }
