"""Attention within a prefix tree: every node attends to itself and its own ancestors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from beamwise.backbones.base import PrefixNodes
from beamwise.backbones.dropout import dropped


@dataclass(frozen=True)
class Generation:
    """The ancestors at one distance above the new nodes."""

    first: int
    """New nodes before this column have no ancestor so far up."""
    places: Int64[Tensor, " flat"]
    """Row-major place of each ancestor among all nodes known, `(batch * known)`."""
    missing: Bool[Tensor, "batch some 1"]
    """Nodes from `first` on that have none either."""


@dataclass(frozen=True)
class Ancestry:
    """Who is above whom, computed once a call and used by every layer."""

    generations: tuple[Generation, ...]
    """Parents, grandparents, and so on."""

    @classmethod
    def of(
        cls,
        nodes: PrefixNodes,
        parents: Int64[Tensor, "batch known"],
    ) -> Ancestry:
        """The ancestry of new `nodes`, the last columns of all `parents` known."""
        batch, known = parents.shape
        row_start = torch.arange(batch, device=parents.device)[:, None] * known
        above = nodes.parents
        generations = []
        for first in nodes.depth_bounds()[1:]:
            above = above[:, above.shape[1] - (nodes.parents.shape[1] - first) :]
            missing = above < 0
            above = above.clamp(min=0)
            generations.append(Generation(first, (above + row_start).flatten(), missing[..., None]))
            above = torch.where(missing, -1, parents.gather(1, above))
        return cls(tuple(generations))


def tree_attention(
    queries: Float[Tensor, "batch new heads head_dim"],
    keys: Float[Tensor, "batch known heads head_dim"],
    values: Float[Tensor, "batch known heads head_dim"],
    ancestry: Ancestry,
    bias: Float[Tensor, "distances heads"],
    dropout: float = 0.0,
) -> Float[Tensor, "batch new heads head_dim"]:
    """Softmax attention of each new node over itself and its ancestors, without a mask over nodes.

    A node has few ancestors and a tree has many nodes, so gathering the ancestors by index costs a
    small part of the products that a masked `(new, known)` score matrix would.

    Args:
        queries: Of the new nodes; scaled by the caller where the model scales.
        keys: Of all nodes known; the new ones are the last columns.
        values: As `keys`.
        ancestry: Of the new nodes.
        bias: Added to the scores, by distance; 0 is the node itself.
        dropout: Probability of dropping an attention weight.
    """
    scores = ancestor_scores(queries, keys, ancestry, bias)
    weights = scores.softmax(-1).to(values.dtype)
    weights = dropped(weights, dropout)
    return ancestor_sum(weights, values, ancestry)


def ancestor_scores(
    queries: Float[Tensor, "batch new heads head_dim"],
    keys: Float[Tensor, "batch known heads head_dim"],
    ancestry: Ancestry,
    bias: Float[Tensor, "at_least_distances heads"] | None = None,
) -> Float[Tensor, "batch new heads distances"]:
    """Scores of each new node with itself (distance 0) and its ancestors, -inf where none is."""
    batch, new, heads, head_dim = queries.shape
    scores = [(queries * keys[:, keys.shape[1] - new :]).sum(-1)]
    flat_keys = keys.flatten(0, 1)
    for generation in ancestry.generations:
        shape = (batch, new - generation.first, heads, head_dim)
        above = flat_keys.index_select(0, generation.places).view(shape)
        scores.append((queries[:, generation.first :] * above).sum(-1))
    if bias is not None:
        scores = [score + bias[distance] for distance, score in enumerate(scores)]
    for distance, generation in enumerate(ancestry.generations, start=1):
        score = scores[distance].masked_fill(generation.missing, -math.inf)
        scores[distance] = F.pad(score, (0, 0, generation.first, 0), value=-math.inf)
    return torch.stack(scores, dim=-1)


def ancestor_sum(
    weights: Float[Tensor, "batch new heads distances"],
    values: Float[Tensor, "batch known heads head_dim"],
    ancestry: Ancestry,
) -> Float[Tensor, "batch new heads head_dim"]:
    """The values of each new node and its ancestors, weighted by distance and added up."""
    batch, new, heads, _ = weights.shape
    flat_values = values.flatten(0, 1)
    attended = weights[..., :1] * values[:, values.shape[1] - new :]
    for distance, generation in enumerate(ancestry.generations, start=1):
        shape = (batch, new - generation.first, heads, values.shape[-1])
        above = flat_values.index_select(0, generation.places).view(shape)
        part = weights[:, generation.first :, :, distance : distance + 1] * above
        attended = attended + F.pad(part, (0, 0, 0, 0, generation.first, 0))
    return attended


@dataclass(frozen=True)
class Sight:
    """What new nodes see of the context and of the tree, computed once a call for every layer."""

    context_mask: Float[Tensor, "batch 1 new context"]
    """0 where a node sees a token of the context, minus infinity elsewhere."""
    ancestry: Ancestry

    @classmethod
    def of(
        cls,
        nodes: PrefixNodes,
        parents: Int64[Tensor, "batch known"],
        lengths: Int64[Tensor, " batch"],
        width: int,
    ) -> Sight:
        """The sight of new `nodes`, the last of all `parents`, over contexts of these `lengths`.

        Padding nodes see the first token, so that their states are finite.
        """
        visible = torch.minimum(nodes.context_length, lengths[:, None]).clamp(min=1)
        hidden = torch.arange(width, device=lengths.device) >= visible[..., None]
        mask = torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, -math.inf)
        return cls(mask[:, None], Ancestry.of(nodes, parents))


def prefix_attention(
    queries: Float[Tensor, "batch new heads head_dim"],
    context: tuple[Float[Tensor, "batch heads context head_dim"], ...],
    nodes: tuple[Float[Tensor, "batch known heads head_dim"], ...],
    sight: Sight,
    dropout: float = 0.0,
) -> Float[Tensor, "batch new heads head_dim"]:
    """One softmax of each new node over the context that it sees, its ancestors and itself.

    The context is read where it lies, once for all nodes of a row, and no score is formed between
    nodes that do not see each other.

    Args:
        queries: Of the new nodes; scaled by the caller.
        context: Keys and values of the context.
        nodes: Keys and values of all nodes known; the new ones are the last columns.
        sight: What the new nodes see.
        dropout: Probability of dropping an attention weight.
    """
    (context_keys, context_values), (keys, values) = context, nodes
    of_context = queries.transpose(1, 2) @ context_keys.transpose(-1, -2)
    of_context = of_context.add_(sight.context_mask)  # a product's gradient needs no result
    of_tree = ancestor_scores(queries, keys, sight.ancestry).transpose(1, 2)
    weights = torch.cat((of_context, of_tree), -1).softmax(-1).to(values.dtype)
    weights = dropped(weights, dropout)
    on_context, on_tree = weights.split((of_context.shape[-1], of_tree.shape[-1]), -1)
    attended = (on_context @ context_values).transpose(1, 2)
    return attended + ancestor_sum(on_tree.transpose(1, 2), values, sight.ancestry)


def causal_attention(
    queries: Float[Tensor, "batch heads context head_dim"],
    keys: Float[Tensor, "batch heads context head_dim"],
    values: Float[Tensor, "batch heads context head_dim"],
    dropout: float = 0.0,
) -> Float[Tensor, "batch heads context head_dim"]:
    """Softmax attention of each token over itself and those before it; queries are scaled.

    On a CPU a plain product, softmax, product: the backward pass of the fused kernel is many times
    slower there at the widths of heads used here.
    """
    if queries.device.type != "cpu":
        return F.scaled_dot_product_attention(
            queries, keys, values, dropout_p=dropout, is_causal=True, scale=1.0
        )
    length = queries.shape[2]
    later = torch.full((length, length), -math.inf, device=queries.device).triu(1)
    scores = (queries @ keys.transpose(-1, -2)).add_(later)
    weights = dropped(scores.softmax(-1).to(values.dtype), dropout)
    return weights @ values


class RelativePositionBias(nn.Module):
    """T5's learned bias by relative position, in buckets that widen with distance."""

    def __init__(
        self, num_buckets: int, max_distance: int, num_heads: int, bidirectional: bool
    ) -> None:
        super().__init__()
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.weight = nn.Parameter(torch.empty(num_buckets, num_heads))

    def forward(self, offsets: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape heads"]:
        """The bias of a key that stands `offsets` positions after its query."""
        return self.weight[self.bucket(offsets)]

    def bucket(self, offsets: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
        """Exact buckets for near positions, logarithmic ones up to `max_distance`."""
        num_buckets = self.num_buckets // 2 if self.bidirectional else self.num_buckets
        side = (offsets > 0).long() * num_buckets if self.bidirectional else 0
        distance = offsets.abs() if self.bidirectional else (-offsets).clamp(min=0)
        num_exact = num_buckets // 2
        # float32 throughout, so that a bucket never differs from the reference implementation's
        ratio = torch.log(distance.clamp(min=1).float() / num_exact)
        spread = ratio / math.log(self.max_distance / num_exact) * (num_buckets - num_exact)
        far = (num_exact + spread.long()).clamp(max=num_buckets - 1)
        return side + torch.where(distance < num_exact, distance, far)
