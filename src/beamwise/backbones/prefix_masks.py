"""Which tokens each node of a prefix tree sees, as the dense masks of `transformers`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import PrefixNodes


def context_seen(
    nodes: PrefixNodes, lengths: Int64[Tensor, " batch"], width: int
) -> Bool[Tensor, "batch nodes context"]:
    """The part of its context that each node sees; at least a token, so that none sees nothing."""
    visible = torch.minimum(nodes.context_length, lengths[:, None]).clamp(min=1)
    return torch.arange(width, device=lengths.device) < visible[..., None]


def ancestors_seen(
    parents: Int64[Tensor, "batch known"], num_new: int, num_depths: int
) -> Bool[Tensor, "batch new known"]:
    """Itself and its ancestors, for each of the last `num_new` nodes.

    Args:
        parents: Of all nodes known, -1 where there is none.
        num_new: Nodes asked about.
        num_depths: Nodes of the longest path, at least.
    """
    batch, known = parents.shape
    top = parents.new_full((batch, 1), known)  # a column for what is above all
    above = torch.cat((torch.where(parents < 0, known, parents), top), 1)
    node = torch.arange(known - num_new, known, device=parents.device).expand(batch, -1)
    seen = torch.zeros(batch, num_new, known + 1, dtype=torch.bool, device=parents.device)
    for _ in range(num_depths):
        seen.scatter_(2, node[..., None], True)
        node = above.gather(1, node)
    return seen[..., :known]


def packed_mask(
    context: Bool[Tensor, "batch nodes context"], nodes: Bool[Tensor, "batch nodes nodes"]
) -> Bool[Tensor, "batch 1 tokens tokens"]:
    """The mask of one row of context and nodes; a token of the context sees those up to itself."""
    batch, num_nodes, width = context.shape
    causal = torch.ones(width, width, dtype=torch.bool, device=context.device).tril()
    of_context = F.pad(causal, (0, num_nodes)).expand(batch, -1, -1)
    return torch.cat((of_context, torch.cat((context, nodes), -1)), 1)[:, None]
