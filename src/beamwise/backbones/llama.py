"""A small Llama: the decoder-only recommender, which reads a user as one sequence of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from beamwise.backbones.attention import Sight, causal_attention, prefix_attention
from beamwise.backbones.base import History, PrefixNodes, pack_histories
from beamwise.backbones.dropout import dropped
from beamwise.backbones.forest import Forest
from beamwise.backbones.rotation import rotate, rotations
from beamwise.catalog import END_TOKEN, Catalog
from beamwise.config import Config

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

NARROW_HEAD = 32
"""Width of a head up to which a CPU attends in fp32 even where products are bf16, if no gradient is
kept: so short rows gain nothing in bf16, and converting them takes longer than the products."""
INITIAL_DEVIATION = 0.02
"""Of fresh weights; `initializer_range` in the published configurations."""


class LlamaConfig(Config):
    """Sizes of a Llama; the defaults are those of the APAO paper (3.8 M parameters)."""

    name: Literal["llama"] = "llama"
    dim: PositiveInt = 128
    """Width of the residual stream."""
    num_layers: PositiveInt = 8
    """Layers; each reads the history and scores an item's tokens alike."""
    num_heads: PositiveInt = 8
    """Attention heads of a layer."""
    head_dim: PositiveInt = Field(default=16, multiple_of=2)
    """Width of a head; even, as positions turn pairs of numbers."""
    feedforward_dim: PositiveInt = 1024
    """Width of a layer's hidden units (SwiGLU)."""
    rope_theta: PositiveFloat = 500000.0
    """Base of the rotary position embedding: larger tells far positions apart longer."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of embeddings, attention weights and layers' outputs that training drops."""
    layer_norm_eps: float = Field(default=1e-6, gt=0)
    """Added to the mean square before its root."""
    gradient_checkpointing: bool = False
    """Recompute each layer in the backward pass: less memory, about a third more time."""


@dataclass(frozen=True)
class LlamaContext:
    """Histories as every layer's keys and values, and what the last layer makes of each token."""

    keys: tuple[Float[Tensor, "batch heads context head_dim"], ...]
    values: tuple[Float[Tensor, "batch heads context head_dim"], ...]
    hidden: Float[Tensor, "batch context dim"]
    """The hidden state of a root that sees the tokens up to this one."""
    lengths: Int64[Tensor, " batch"]

    def select(self, rows: Int64[Tensor, " rows"]) -> LlamaContext:
        """The context of these rows."""
        return LlamaContext(
            tuple(keys[rows] for keys in self.keys),
            tuple(values[rows] for values in self.values),
            self.hidden[rows],
            self.lengths[rows],
        )


@dataclass(frozen=True)
class LlamaCache:
    """Keys and values of the nodes that were computed, by layer; roots are not among them."""

    keys: tuple[Float[Tensor, "batch computed heads head_dim"], ...]
    """None at all before the first node is computed, and so `values`."""
    values: tuple[Float[Tensor, "batch computed heads head_dim"], ...]
    parents: Int64[Tensor, "batch computed"]
    """Place of the parent among the computed nodes, -1 where it is a root."""
    places: Int64[Tensor, " known"]
    """Place of each column known among the computed nodes, -1 where it holds roots only."""

    def select(self, rows: Int64[Tensor, " rows"]) -> LlamaCache:
        """The nodes of these rows."""
        return LlamaCache(
            tuple(keys[rows] for keys in self.keys),
            tuple(values[rows] for values in self.values),
            self.parents[rows],
            self.places,
        )


class Known(NamedTuple):
    """What a layer has seen: keys and values, of which either kind may be missing."""

    context: tuple[Float[Tensor, "batch heads context head_dim"], ...] = ()
    nodes: tuple[Float[Tensor, "batch computed heads head_dim"], ...] = ()


class Pass(NamedTuple):
    """What all layers of one pass share."""

    batch: int
    context_turns: Tensor | None
    """Rotations of the context's tokens; None where they were computed before."""
    node_turns: Tensor | None
    """Rotations of the nodes; None where there are none, and so `sight`."""
    sight: Sight | None


class SwiGLU(nn.Module):
    """Gated feed-forward block (arXiv:2002.05202) with its norm and residual."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(config.dim, config.layer_norm_eps)
        self.gate_up = nn.Linear(config.dim, 2 * config.feedforward_dim, bias=False)
        self.down = nn.Linear(config.feedforward_dim, config.dim, bias=False)
        self.dropout = config.dropout

    def forward(self, stream: Float[Tensor, "tokens dim"]) -> Float[Tensor, "tokens dim"]:
        """Add the block's output to the residual stream."""
        normed = self.norm(stream)
        if torch.is_grad_enabled():
            gate, up = self.gate_up(normed).unflatten(-1, (2, -1)).unbind(-2)
            return stream + dropped(self.down(F.silu(gate) * up), self.dropout, self.training)
        return stream + self.down(self._gated(normed))

    def _gated(self, normed: Float[Tensor, "tokens dim"]) -> Float[Tensor, "tokens hidden"]:
        """The hidden units where no gradient is kept: nothing is written that is not needed."""
        if torch.is_autocast_enabled(normed.device.type):  # it casts a whole weight only once
            gate, up = self.gate_up(normed).unflatten(-1, (2, -1)).unbind(-2)
            return F.silu(gate).mul_(up)
        gate, up = (F.linear(normed, half) for half in self.gate_up.weight.chunk(2))
        return F.silu(gate, inplace=True).mul_(up)


class LlamaLayer(nn.Module):
    """Attention of context tokens and of prefix nodes, then the feed-forward block.

    Tokens of both kinds go through each product together: all rows' context tokens first, then all
    rows' nodes. Either kind may be missing.
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.heads = (config.num_heads, config.head_dim)
        self.norm = nn.RMSNorm(config.dim, config.layer_norm_eps)
        self.queries_keys_values = nn.Linear(config.dim, 3 * inner, bias=False)
        self.out = nn.Linear(inner, config.dim, bias=False)
        self.feedforward = SwiGLU(config)
        self.dropout = config.dropout

    def forward(
        self, stream: Float[Tensor, "tokens dim"], shared: Pass, known: Known
    ) -> tuple[Float[Tensor, "tokens dim"], Known]:
        """The residual stream after this layer, and what the layer has seen by then."""
        packed = self.queries_keys_values(self.norm(stream))
        if self._attends_in_fp32(packed):
            with torch.autocast(packed.device.type, enabled=False):
                attended, known = self._attend(packed.float(), shared, known)
        else:
            attended, known = self._attend(packed, shared, known)
        stream = stream + dropped(self.out(attended), self.dropout, self.training)
        return self.feedforward(stream), known

    def _attends_in_fp32(self, packed: Tensor) -> bool:
        narrow = self.heads[1] <= NARROW_HEAD and packed.device.type == "cpu"
        return narrow and packed.dtype == torch.bfloat16 and not torch.is_grad_enabled()

    def _attend(
        self, packed: Tensor, shared: Pass, known: Known
    ) -> tuple[Float[Tensor, "tokens inner"], Known]:
        """What the heads gather for each token, and what the layer has seen by then."""
        drop = self.dropout if self.training else 0.0
        of_context, of_nodes = self._project(packed, shared)
        context, nodes = known
        attended = []
        if of_context:
            queries, keys, values = (part.transpose(1, 2).contiguous() for part in of_context)
            context = (keys, values)
            seen = causal_attention(queries, keys, values, drop)
            attended.append(seen.transpose(1, 2).reshape(-1, self.out.in_features))
        if of_nodes and shared.sight is not None:
            queries, keys, values = of_nodes
            if nodes:
                keys, values = torch.cat((nodes[0], keys), 1), torch.cat((nodes[1], values), 1)
            nodes = (keys, values)
            seen = prefix_attention(queries, context, nodes, shared.sight, drop)
            attended.append(seen.reshape(-1, self.out.in_features))
        joined = torch.cat(attended) if len(attended) > 1 else attended[0]
        return joined, Known(context, nodes)

    def _project(self, packed: Tensor, shared: Pass) -> list[tuple[Tensor, ...]]:
        """Queries, keys and values `(batch, tokens, heads, head_dim)` of both kinds of tokens."""
        both = (shared.context_turns, shared.node_turns)
        counts = [0 if turns is None else shared.batch * turns.shape[1] for turns in both]
        parts: list[tuple[Tensor, ...]] = []
        for part, turns in zip(packed.split(counts), both, strict=True):
            if turns is None:
                parts.append(())
                continue
            queries_keys, values = part.view(shared.batch, -1, 3, *self.heads).split((2, 1), 2)
            parts.append((*rotate(queries_keys, turns).unbind(2), values.squeeze(2)))
        return parts


class Llama(nn.Module):
    """A Llama behind the backbone protocol; converts from and to `transformers`.

    There is no start token: a root of the prefix tree is the last token of the context that it
    sees, so its hidden state is looked up and never computed. Weights of queries and keys have the
    two numbers of a pair that positions turn side by side; `transformers` has them half a head
    apart.
    """

    Config = LlamaConfig
    causal_context: ClassVar[bool] = True

    def __init__(self, config: LlamaConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.layers = nn.ModuleList(LlamaLayer(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.dim, config.layer_norm_eps)
        self._initialise()

    @property
    def vocab_size(self) -> int:
        """Tokens that `logits` scores."""
        return self.embedding.num_embeddings

    def encode_histories(
        self, item_indices: Int64[Tensor, "batch history"], catalog: Catalog
    ) -> History:
        """Items' tokens; an empty history is one end token. See `pack_histories`."""
        return pack_histories(item_indices, catalog, END_TOKEN, closes_all=False)

    def read(self, history: History) -> LlamaContext:
        """Compute the histories' tokens, each from itself and those before it."""
        batch, width = history.tokens.shape
        shared = Pass(batch, self._context_turns(history), None, None)
        stream, known = self._layers(self._embed(history.tokens), shared, [])
        keys, values = zip(*(layer.context for layer in known), strict=True)
        return LlamaContext(keys, values, stream.view(batch, width, -1), history.lengths)

    def extend(
        self, context: LlamaContext, nodes: PrefixNodes, cache: LlamaCache | None = None
    ) -> tuple[Float[Tensor, "batch nodes dim"], LlamaCache]:
        """Compute new nodes on top of the context and of the nodes in `cache`."""
        batch, width = context.hidden.shape[:2]
        if cache is None:
            none = nodes.parents[:, :0]
            cache = LlamaCache((), (), none, none.new_empty(0))
        forest = Forest.of(nodes, cache.parents, cache.places)
        roots = self._roots(context.hidden, context.lengths, nodes)
        keys, values = cache.keys, cache.values
        if forest.num_new:
            sight = Sight.of(forest.nodes, forest.parents, context.lengths, width)
            shared = Pass(batch, None, self._turns(forest.positions), sight)
            of_nodes = zip(keys, values, strict=True) if keys else [()] * len(self.layers)
            of_context = zip(context.keys, context.values, strict=True)
            known = [Known(*both) for both in zip(of_context, of_nodes, strict=True)]
            stream, known = self._layers(self._embed(forest.nodes.tokens), shared, known)
            keys, values = zip(*(layer.nodes for layer in known), strict=True)
            roots = forest.placed(stream, roots)
        return roots, LlamaCache(keys, values, forest.parents, forest.places)

    def forward(self, history: History, nodes: PrefixNodes) -> Float[Tensor, "batch nodes dim"]:
        """Hidden states of a whole tree: `read` and `extend` in one pass through the layers."""
        batch, width = history.tokens.shape
        none = nodes.parents[:, :0]
        forest = Forest.of(nodes, none, none.new_empty(0))
        if not forest.num_new:
            return self._roots(self.read(history).hidden, history.lengths, nodes)
        sight = Sight.of(forest.nodes, forest.parents, history.lengths, width)
        shared = Pass(batch, self._context_turns(history), self._turns(forest.positions), sight)
        both = (self._embed(history.tokens), self._embed(forest.nodes.tokens))
        stream, _ = self._layers(torch.cat(both), shared, [])
        of_context, of_nodes = stream.split([len(part) for part in both])
        roots = self._roots(of_context.view(batch, width, -1), history.lengths, nodes)
        return forest.placed(of_nodes, roots)

    def logits(
        self, hidden: Float[Tensor, "*nodes dim"], tokens: Int64[Tensor, " tokens"] | None = None
    ) -> Float[Tensor, "*nodes scored"]:
        """Scores of the next token, over the vocabulary or over `tokens` only."""
        weight = self.embedding.weight if tokens is None else self.embedding(tokens)
        # bf16 would round a logit of 10 by 0.03 and reorder the beam; in fp32 they cost nothing
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(hidden.to(weight.dtype), weight)

    @classmethod
    def from_huggingface(cls, model: LlamaForCausalLM) -> Llama:
        """Take over a Llama's weights: the same logits.

        Raises:
            ValueError: If the model has a part that this Llama has not.
        """
        from beamwise.backbones.llama_conversion import config_of, load_huggingface

        llama = cls(config_of(model), model.config.vocab_size)
        load_huggingface(llama, model)
        return llama.train(model.training)

    def to_huggingface(self) -> LlamaForCausalLM:
        """A `LlamaForCausalLM` with these weights: the same logits."""
        from beamwise.backbones.llama_conversion import to_huggingface

        return to_huggingface(self)

    def _layers(
        self, stream: Tensor, shared: Pass, known: list[Known]
    ) -> tuple[Float[Tensor, "tokens dim"], list[Known]]:
        """All layers and the last norm; `known` is by layer, or empty where nothing is known."""
        seen = []
        for layer, before in zip(self.layers, known or [Known()] * len(self.layers), strict=True):
            if self.config.gradient_checkpointing and torch.is_grad_enabled():
                result = checkpoint(layer, stream, shared, before, use_reentrant=False)
                stream, after = cast("tuple[Tensor, Known]", result)
            else:
                stream, after = layer(stream, shared, before)
            seen.append(after)
        return self.norm(stream), seen

    def _embed(self, tokens: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "flat dim"]:
        embedded = self.embedding(tokens.clamp(min=0).flatten())
        return dropped(embedded, self.config.dropout, self.training)

    def _context_turns(self, history: History) -> Tensor:
        positions = torch.arange(history.tokens.shape[1], device=history.tokens.device)
        return self._turns(positions[None])

    def _turns(self, positions: Int64[Tensor, "batch tokens"]) -> Tensor:
        config = self.config
        turns = rotations(positions, config.num_heads, config.head_dim, config.rope_theta)
        return turns.to(torch.promote_types(turns.dtype, self.embedding.weight.dtype))

    def _roots(
        self,
        hidden: Float[Tensor, "batch context dim"],
        lengths: Int64[Tensor, " batch"],
        nodes: PrefixNodes,
    ) -> Float[Tensor, "batch nodes dim"]:
        """What every node would be as a root: the last token of the context that it sees."""
        batch, width, dim = hidden.shape
        last = torch.minimum(nodes.context_length, lengths[:, None]).clamp(min=1) - 1
        places = last + torch.arange(batch, device=last.device)[:, None] * width
        return hidden.flatten(0, 1).index_select(0, places.flatten()).view(batch, -1, dim)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Llama's initialisation: every weight from a normal distribution, as wide as published."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                module.weight.normal_(0, INITIAL_DEVIATION)
