"""Beams of any width, simulated on the scores of all prefixes: no model runs again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.decoding.ranking import ranked_top_k, stable_top_k
from beamwise.decoding.results import EXACTNESS_TOLERANCE


class SimulatedBeam(NamedTuple):
    """What a beam of one width does with a batch of users."""

    lives: Bool[Tensor, "batch nodes"]
    """Prefixes that the beam kept, and leaves that it reached."""
    best_dropped: Float[Tensor, " batch"]
    """Log-probability of the best prefix that found no place, -inf where none was."""

    def is_exact(self, kth: Float[Tensor, " batch"]) -> Bool[Tensor, " batch"]:
        """Whether the results are proved to be the best, as `beam_search` says it.

        Args:
            kth: Log-probability of the last leaf returned, -inf where there are fewer.
        """
        return (self.best_dropped < kth - EXACTNESS_TOLERANCE) | (self.best_dropped == -torch.inf)


@dataclass(frozen=True, eq=False)
class ScoredTree:
    """The catalog's tree with a log-probability at every node, for a batch of users.

    Levels are numbered from 1, the last is `num_levels`. At every level but the last the prefixes
    that compete for places are those of that many tokens that are no leaves; at the last it is all
    leaves, however long, that compete for the results. Where all items have one length these are
    simply the prefixes of each length. What has -inf competes nowhere. Ties go to the lower node,
    among leaves to the lower leaf, as in every search.
    """

    catalog: Catalog
    scores: Float[Tensor, "batch nodes"]
    """In nats, as `node_log_probs` gives them: -inf where no search enters."""

    @property
    def num_levels(self) -> int:
        """Tokens of the longest item."""
        return self.catalog.num_levels

    def nodes_of(self, level: int) -> slice:
        """The nodes of so many tokens."""
        return slice(self.catalog.level_start[level], self.catalog.level_start[level + 1])

    @cached_property
    def is_leaf(self) -> Bool[Tensor, " nodes"]:
        """Whether a path ends at each node."""
        return self.catalog.child_start.diff() == 0

    @cached_property
    def parents(self) -> Int64[Tensor, " nodes"]:
        """The node above each; the root's is itself."""
        upper = torch.repeat_interleave(self.catalog.child_start.diff().long())
        return torch.nn.functional.pad(upper, (1, 0))

    @cached_property
    def node_of_leaf(self) -> Int64[Tensor, " leaves"]:
        """The node at which each leaf's path ends."""
        return self.catalog.leaf_nodes.amax(dim=1).long()

    @cached_property
    def leaf_scores(self) -> Float[Tensor, "batch leaves"]:
        """The scores of all leaves, in the order of the leaves."""
        return self.scores[:, self.node_of_leaf]

    def competitors(self, level: int) -> Float[Tensor, "batch competitors"]:
        """Scores of what competes at a level: -inf at those of its nodes that are leaves."""
        if level == self.num_levels:
            return self.leaf_scores
        nodes = self.nodes_of(level)
        return self.scores[:, nodes].masked_fill(self.is_leaf[nodes], -torch.inf)

    def beam(self, width: int) -> SimulatedBeam:
        """Keep the `width` best children of the prefixes kept, level by level.

        A leaf that is reached holds no place. So does `beam_search`, on the same scores.

        Raises:
            ValueError: If `width` is below 1.
        """
        if width < 1:
            raise ValueError(f"beam_width must be >= 1, got {width}: widen the beam")
        lives = torch.zeros_like(self.scores, dtype=torch.bool)
        lives[:, 0] = True
        best_dropped = self.scores.new_full((len(self.scores),), -torch.inf)
        for level in range(1, self.num_levels + 1):
            nodes = self.nodes_of(level)
            reached = lives[:, self.parents[nodes]] & (self.scores[:, nodes] > -torch.inf)
            is_open = reached & ~self.is_leaf[nodes]
            table = self.scores[:, nodes].masked_fill(~is_open, -torch.inf)
            best = torch.zeros_like(is_open).scatter_(1, stable_top_k(table, width), True)
            dropped = table.masked_fill(best, -torch.inf).amax(dim=1)
            best_dropped = torch.maximum(best_dropped, dropped)
            lives[:, nodes] = reached & (best | self.is_leaf[nodes])
        return SimulatedBeam(lives, best_dropped)

    def best_leaves(
        self, top_k: int, lives: Bool[Tensor, "batch nodes"] | None = None
    ) -> tuple[Int64[Tensor, "batch top_k"], Float[Tensor, "batch top_k"]]:
        """The best leaves in the total order, -1 and -inf where there are fewer.

        Args:
            top_k: Leaves to return.
            lives: Only leaves that a beam reached; all where not given.
        """
        scores = self.leaf_scores
        if lives is not None:
            scores = scores.masked_fill(~lives[:, self.node_of_leaf], -torch.inf)
        leaves = ranked_top_k(scores, top_k)
        found = scores.gather(1, leaves)
        missing = top_k - leaves.shape[1]
        leaves = leaves.masked_fill(found == -torch.inf, -1)
        pad = torch.nn.functional.pad
        return pad(leaves, (0, missing), value=-1), pad(found, (0, missing), value=-torch.inf)
