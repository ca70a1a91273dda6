"""Attention within a prefix tree: every node attends to itself and its own ancestors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from beamwise.backbones.base import PrefixNodes


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
    batch, new, heads, head_dim = queries.shape
    own = keys.shape[1] - new
    scores = [(queries * keys[:, own:]).sum(-1) + bias[0]]
    gathered = [values[:, own:]]
    flat_keys, flat_values = keys.flatten(0, 1), values.flatten(0, 1)
    for distance, generation in enumerate(ancestry.generations, start=1):
        shape = (batch, new - generation.first, heads, head_dim)
        above = flat_keys.index_select(0, generation.places).view(shape)
        score = (queries[:, generation.first :] * above).sum(-1) + bias[distance]
        score = score.masked_fill(generation.missing, -math.inf)
        scores.append(F.pad(score, (0, 0, generation.first, 0), value=-math.inf))
        gathered.append(flat_values.index_select(0, generation.places).view(shape))
    weights = torch.stack(scores, dim=-1).softmax(-1).to(values.dtype)
    weights = F.dropout(weights, dropout, training=dropout > 0)
    attended = weights[..., :1] * gathered[0]
    for distance, generation in enumerate(ancestry.generations, start=1):
        part = weights[:, generation.first :, :, distance : distance + 1] * gathered[distance]
        attended = attended + F.pad(part, (0, 0, 0, 0, generation.first, 0))
    return attended


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
