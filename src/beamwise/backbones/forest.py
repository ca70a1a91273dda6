"""A prefix tree without its roots, for backbones that read them off the context."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from beamwise.backbones.base import PrefixNodes


@dataclass(frozen=True)
class Forest:
    """The new nodes that are to be computed, and all that were, numbered without free columns."""

    nodes: PrefixNodes
    """A child of a root has parent -1 and depth 0 here; roots among them have -1 for both."""
    below_root: Tensor
    """Which of them are no roots, `(batch, new, 1)`."""
    parents: Int64[Tensor, "batch computed"]
    """Of all nodes computed so far, the new ones last."""
    places: Int64[Tensor, " known"]
    """Place of every column known among the computed nodes; -1 where it holds roots only."""

    @classmethod
    def of(
        cls,
        nodes: PrefixNodes,
        parents: Int64[Tensor, "batch computed"],
        places: Int64[Tensor, " known"],
    ) -> Forest:
        """Leave out the columns that `nodes` promises to be roots.

        Args:
            nodes: New nodes of a tree with roots.
            parents: Of the nodes computed in earlier calls.
            places: Of the columns of earlier calls.
        """
        bounds = nodes.depth_bounds()
        num_columns, num_before = nodes.tokens.shape[1], parents.shape[1]
        num_free = bounds[1] if len(bounds) > 1 else num_columns
        column = torch.arange(num_columns, device=parents.device)
        added = torch.where(column < num_free, -1, column - num_free + num_before)
        places = torch.cat((places, added))
        kept = nodes.map(lambda part: part[:, num_free:])
        above = torch.where(kept.depth > 1, places[kept.parents.clamp(min=0)], -1)
        depth = (kept.depth - 1).clamp(min=-1)
        first_of_depth = tuple(max(first - num_free, 0) for first in bounds[1:])
        new = PrefixNodes(kept.tokens, above, depth, kept.context_length, first_of_depth)
        return cls(new, (kept.depth > 0)[..., None], torch.cat((parents, above), 1), places)

    @property
    def num_new(self) -> int:
        """Nodes to compute in each row."""
        return self.nodes.tokens.shape[1]

    @property
    def positions(self) -> Int64[Tensor, "batch new"]:
        """A child of a root stands right after the context that it sees."""
        return (self.nodes.context_length + self.nodes.depth).clamp(min=0)

    def placed(
        self, computed: Float[Tensor, "flat dim"], roots: Float[Tensor, "batch nodes dim"]
    ) -> Float[Tensor, "batch nodes dim"]:
        """Hidden states of all new columns: what was computed, and roots where nothing was."""
        num_free = roots.shape[1] - self.num_new
        computed = computed.view(len(roots), self.num_new, -1)
        rest = torch.where(self.below_root, computed, roots[:, num_free:])
        return torch.cat((roots[:, :num_free], rest), 1)
