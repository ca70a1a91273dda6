"""TIGER: the encoder-decoder recommender over semantic IDs (arXiv:2305.05065), a small T5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from beamwise.backbones.attention import Ancestry, RelativePositionBias, tree_attention
from beamwise.backbones.base import History, PrefixNodes, pack_histories
from beamwise.backbones.dropout import dropped
from beamwise.catalog import END_TOKEN, Catalog
from beamwise.config import Config

if TYPE_CHECKING:
    from transformers import T5ForConditionalGeneration


class TigerConfig(Config):
    """Sizes of a TIGER; the defaults are those of the APAO paper (4.6 M parameters)."""

    name: Literal["tiger"] = "tiger"
    dim: PositiveInt = 128
    """Width of the residual stream."""
    num_encoder_layers: PositiveInt = 4
    """Layers that read the history."""
    num_decoder_layers: PositiveInt = 4
    """Layers that score an item's tokens."""
    num_heads: PositiveInt = 6
    """Attention heads of a layer."""
    head_dim: PositiveInt = 64
    """Width of a head."""
    feedforward_dim: PositiveInt = 1024
    """Width of a layer's hidden units."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of activations that training drops; 0 where epochs are few."""
    num_buckets: PositiveInt = 32
    """Buckets of the relative position bias."""
    max_distance: PositiveInt = 128
    """Tokens beyond which all relative positions share a bucket."""
    layer_norm_eps: float = Field(default=1e-6, gt=0)
    """Added to the mean square before its root."""
    scale_output: bool = True
    """Multiply hidden states by dim ** -0.5 before scoring them with the input embedding."""
    gradient_checkpointing: bool = False
    """Recompute each layer in the backward pass: less memory, about a third more time."""


@dataclass(frozen=True)
class TigerContext:
    """Encoded histories as every decoder layer's cross-attention keys and values."""

    keys: tuple[Float[Tensor, "batch heads context head_dim"], ...]
    values: tuple[Float[Tensor, "batch heads context head_dim"], ...]
    lengths: Int64[Tensor, " batch"]

    def select(self, rows: Int64[Tensor, " rows"]) -> TigerContext:
        """The context of these rows."""
        return TigerContext(
            tuple(keys[rows] for keys in self.keys),
            tuple(values[rows] for values in self.values),
            self.lengths[rows],
        )


@dataclass(frozen=True)
class TigerCache:
    """Self-attention keys and values of every node known, by layer, and the nodes' parents."""

    keys: tuple[Float[Tensor, "batch known heads head_dim"], ...]
    values: tuple[Float[Tensor, "batch known heads head_dim"], ...]
    parents: Int64[Tensor, "batch known"]

    def select(self, rows: Int64[Tensor, " rows"]) -> TigerCache:
        """The nodes of these rows."""
        return TigerCache(
            tuple(keys[rows] for keys in self.keys),
            tuple(values[rows] for values in self.values),
            self.parents[rows],
        )


class Norm(nn.RMSNorm):
    """Root-mean-square norm of the residual stream."""


class FeedForward(nn.Module):
    """ReLU feed-forward block with its norm and residual."""

    def __init__(self, config: TigerConfig) -> None:
        super().__init__()
        self.norm = Norm(config.dim, config.layer_norm_eps)
        self.up = nn.Linear(config.dim, config.feedforward_dim, bias=False)
        self.down = nn.Linear(config.feedforward_dim, config.dim, bias=False)
        self.dropout = config.dropout

    def forward(
        self, stream: Float[Tensor, "batch tokens dim"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Add the block's output to the residual stream."""
        inner = self.up(self.norm(stream))
        inner = F.relu(inner, inplace=not torch.is_grad_enabled())
        inner = dropped(inner, self.dropout, self.training)
        return stream + dropped(self.down(inner), self.dropout, self.training)


class EncoderLayer(nn.Module):
    """Bidirectional self-attention with a relative position bias, then the feed-forward block."""

    def __init__(self, config: TigerConfig) -> None:
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.heads = (config.num_heads, config.head_dim)
        self.norm = Norm(config.dim, config.layer_norm_eps)
        self.queries_keys_values = nn.Linear(config.dim, 3 * inner, bias=False)
        self.out = nn.Linear(inner, config.dim, bias=False)
        self.feedforward = FeedForward(config)
        self.dropout = config.dropout

    def forward(
        self,
        stream: Float[Tensor, "batch context dim"],
        bias: Float[Tensor, "batch_or_one heads context context"],
    ) -> Float[Tensor, "batch context dim"]:
        """`bias` holds the position bias and, for padding, minus infinity."""
        packed = self.queries_keys_values(self.norm(stream)).unflatten(-1, (3, *self.heads))
        queries, keys, values = packed.permute(2, 0, 3, 1, 4).unbind(0)
        attended = attend(queries, keys, values, bias, self.dropout if self.training else 0.0)
        stream = stream + dropped(self.out(attended), self.dropout, self.training)
        return self.feedforward(stream)


class DecoderLayer(nn.Module):
    """Tree self-attention, cross-attention to the context, then the feed-forward block."""

    def __init__(self, config: TigerConfig) -> None:
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.heads = (config.num_heads, config.head_dim)
        self.self_norm = Norm(config.dim, config.layer_norm_eps)
        self.queries_keys_values = nn.Linear(config.dim, 3 * inner, bias=False)
        self.self_out = nn.Linear(inner, config.dim, bias=False)
        self.cross_norm = Norm(config.dim, config.layer_norm_eps)
        self.cross_queries = nn.Linear(config.dim, inner, bias=False)
        self.cross_out = nn.Linear(inner, config.dim, bias=False)
        self.feedforward = FeedForward(config)
        self.dropout = config.dropout

    def project(
        self, stream: Float[Tensor, "batch nodes dim"]
    ) -> tuple[Float[Tensor, "batch nodes heads head_dim"], ...]:
        """Self-attention queries, keys and values of new nodes."""
        return (
            self.queries_keys_values(self.self_norm(stream))
            .unflatten(-1, (3, *self.heads))
            .unbind(2)
        )

    def forward(
        self,
        stream: Float[Tensor, "batch nodes dim"],
        past: tuple[Tensor, Tensor] | None,
        ancestry: Ancestry,
        tree_bias: Float[Tensor, "distances heads"],
        cross: tuple[Tensor, Tensor],
        cross_mask: Float[Tensor, "batch 1 nodes context"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The residual stream of new nodes, and the keys and values of all nodes known."""
        drop = self.dropout if self.training else 0.0
        queries, keys, values = self.project(stream)
        if past is not None:
            keys, values = torch.cat((past[0], keys), 1), torch.cat((past[1], values), 1)
        attended = tree_attention(queries, keys, values, ancestry, tree_bias, drop).flatten(2)
        stream = stream + dropped(self.self_out(attended), self.dropout, self.training)
        asked = (
            self.cross_queries(self.cross_norm(stream)).unflatten(-1, self.heads).transpose(1, 2)
        )
        attended = attend(asked, *cross, cross_mask, drop)
        stream = stream + dropped(self.cross_out(attended), self.dropout, self.training)
        return self.feedforward(stream), keys, values


class Tiger(nn.Module):
    """T5 encoder-decoder behind the backbone protocol; converts from and to `transformers`.

    Positions are relative: the decoder's bias depends on depth differences only, cross-attention
    has none. A history ends with the end token; the decoder starts from token 0.
    """

    Config = TigerConfig
    causal_context: ClassVar[bool] = False

    def __init__(self, config: TigerConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        inner = config.num_heads * config.head_dim
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_encoder_layers))
        self.encoder_bias = self._position_bias(bidirectional=True)
        self.encoder_norm = Norm(config.dim, config.layer_norm_eps)
        self.cross_keys_values = nn.Linear(
            config.dim, config.num_decoder_layers * 2 * inner, bias=False
        )
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_decoder_layers))
        self.decoder_bias = self._position_bias(bidirectional=False)
        self.decoder_norm = Norm(config.dim, config.layer_norm_eps)
        self._initialise()

    @property
    def vocab_size(self) -> int:
        """Tokens that `logits` scores."""
        return self.embedding.num_embeddings

    def encode_histories(
        self, item_indices: Int64[Tensor, "batch history"], catalog: Catalog
    ) -> History:
        """Items' tokens and one end token; see `pack_histories`."""
        return pack_histories(item_indices, catalog, END_TOKEN)

    def read(self, history: History) -> TigerContext:
        """Encode the histories and project them for every decoder layer in one product."""
        width = history.tokens.shape[1]
        position = torch.arange(width, device=history.tokens.device)
        padding = position >= history.lengths[:, None]
        bias = self.encoder_bias(position[None, :] - position[:, None]).permute(2, 0, 1)
        bias = bias.masked_fill(padding[:, None, None, :], -torch.inf)
        stream = dropped(self.embedding(history.tokens), self.config.dropout, self.training)
        for layer in self.encoder:
            stream = self._run(layer, stream, bias)
        stream = dropped(self.encoder_norm(stream), self.config.dropout, self.training)
        shape = (self.config.num_decoder_layers, 2, self.config.num_heads, self.config.head_dim)
        packed = self.cross_keys_values(stream).unflatten(-1, shape)
        layers = packed.permute(2, 3, 0, 4, 1, 5).contiguous().flatten(0, 1).unbind(0)
        return TigerContext(layers[0::2], layers[1::2], history.lengths)

    def extend(
        self, context: TigerContext, nodes: PrefixNodes, cache: TigerCache | None = None
    ) -> tuple[Float[Tensor, "batch nodes dim"], TigerCache]:
        """Decode new nodes on top of the context and of the nodes in `cache`."""
        parents = nodes.parents if cache is None else torch.cat((cache.parents, nodes.parents), 1)
        ancestry = Ancestry.of(nodes, parents)
        distances = torch.arange(len(ancestry.generations) + 1, device=parents.device)
        tree_bias = self.decoder_bias(-distances)
        mask = self._cross_mask(context, nodes)
        tokens = nodes.tokens.clamp(min=0)
        stream = dropped(self.embedding(tokens), self.config.dropout, self.training)
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for index, layer in enumerate(self.decoder):
            past = None if cache is None else (cache.keys[index], cache.values[index])
            cross = (context.keys[index], context.values[index])
            stream, all_keys, all_values = self._run(
                layer, stream, past, ancestry, tree_bias, cross, mask
            )
            keys.append(all_keys)
            values.append(all_values)
        hidden = dropped(self.decoder_norm(stream), self.config.dropout, self.training)
        return hidden, TigerCache(tuple(keys), tuple(values), parents)

    def forward(self, history: History, nodes: PrefixNodes) -> Float[Tensor, "batch nodes dim"]:
        """Hidden states of a whole tree: `read`, then `extend` from nothing."""
        return self.extend(self.read(history), nodes)[0]

    def logits(
        self, hidden: Float[Tensor, "*nodes dim"], tokens: Int64[Tensor, " tokens"] | None = None
    ) -> Float[Tensor, "*nodes scored"]:
        """Scores of the next token, over the vocabulary or over `tokens` only."""
        weight = self.embedding.weight if tokens is None else self.embedding(tokens)
        # bf16 would round a logit of 10 by 0.03 and reorder the beam; in fp32 they cost nothing
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.to(weight.dtype)
            if self.config.scale_output:
                hidden = hidden * self.config.dim**-0.5
            return F.linear(hidden, weight)

    @classmethod
    def from_huggingface(cls, model: T5ForConditionalGeneration) -> Tiger:
        """Take over a T5's weights: the same logits.

        Raises:
            ValueError: If the model is not a ReLU T5 that starts decoding from token 0.
        """
        from beamwise.backbones.tiger_conversion import config_of, load_huggingface

        tiger = cls(config_of(model), model.config.vocab_size)
        load_huggingface(tiger, model)
        return tiger.train(model.training)

    def to_huggingface(self) -> T5ForConditionalGeneration:
        """A `T5ForConditionalGeneration` with these weights: the same logits."""
        from beamwise.backbones.tiger_conversion import to_huggingface

        return to_huggingface(self)

    def _run(self, layer: nn.Module, *inputs: object) -> Tensor | tuple[Tensor, ...]:
        if self.config.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(layer, *inputs, use_reentrant=False)
        return layer(*inputs)

    def _cross_mask(
        self, context: TigerContext, nodes: PrefixNodes
    ) -> Float[Tensor, "batch 1 nodes context"]:
        position = torch.arange(context.keys[0].shape[2], device=nodes.tokens.device)
        visible = torch.minimum(nodes.context_length, context.lengths[:, None]).clamp(min=1)
        hidden: Bool[Tensor, "batch nodes context"] = position >= visible[..., None]
        zeros = torch.zeros(hidden.shape, device=hidden.device)
        return zeros.masked_fill(hidden, -torch.inf)[:, None]

    def _position_bias(self, *, bidirectional: bool) -> RelativePositionBias:
        config = self.config
        return RelativePositionBias(
            config.num_buckets, config.max_distance, config.num_heads, bidirectional
        )

    @torch.no_grad()
    def _initialise(self) -> None:
        """T5's initialisation (arXiv:1910.10683), by the fan-in of each product."""
        config = self.config
        inner = config.num_heads * config.head_dim
        self.embedding.weight.normal_(0, 1)
        for bias in (self.encoder_bias, self.decoder_bias):
            bias.weight.normal_(0, config.dim**-0.5)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0, module.in_features**-0.5)
                # queries carry the scaling of attention, which T5 leaves out of the scores
                if name.endswith("queries_keys_values"):
                    module.weight[:inner] *= config.head_dim**-0.5
                if name.endswith("cross_queries"):
                    module.weight *= config.head_dim**-0.5


def attend(
    queries: Float[Tensor, "batch heads asked head_dim"],
    keys: Float[Tensor, "batch heads context head_dim"],
    values: Float[Tensor, "batch heads context head_dim"],
    bias: Float[Tensor, ...],
    dropout: float,
) -> Float[Tensor, "batch asked inner"]:
    """Attention with an additive bias, heads joined.

    A plain product, softmax, product: the fused kernel leaves its fast path where the bias needs a
    gradient, and on CPU this is 1.25 to 1.6 times as fast.
    """
    weights = (queries @ keys.transpose(-1, -2) + bias).softmax(-1).to(values.dtype)
    weights = dropped(weights, dropout)
    return (weights @ values).transpose(1, 2).flatten(2)
