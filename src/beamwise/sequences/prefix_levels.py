"""Prefixes of targets that end where paths part: levels for items of many forced tokens."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from beamwise.catalog import Catalog
from beamwise.sequences.negatives import (
    Candidates,
    Scaling,
    candidate_nodes,
    first_of_equals,
    log_weights_of,
)


class Steps(NamedTuple):
    """The steps along some leaves' paths: what may stand there, and what does."""

    upper: Int64[Tensor, "paths levels"]
    """The node that a step leaves."""
    num_children: Int64[Tensor, "paths levels"]
    """Tokens that are legal there; 0 past a path's end."""
    own: Int64[Tensor, "paths levels"]
    """Which of them the path takes, by token; 0 past its end."""

    @classmethod
    def of(cls, catalog: Catalog, leaves: Int64[Tensor, " paths"]) -> Steps:
        """The steps from the root to each of the leaves."""
        paths = catalog.leaf_nodes[leaves].long()
        exists = paths >= 0
        upper = pad(paths[:, :-1], (1, 0)).clamp(min=0)  # the root is node 0
        own = paths - 1 - catalog.child_start[upper]
        return cls(upper, catalog.num_children(upper).where(exists, 0), own.where(exists, 0))

    @property
    def branching(self) -> Bool[Tensor, "paths levels"]:
        """Where several tokens are legal."""
        return self.num_children > 1

    @property
    def decided_after(self) -> Int64[Tensor, " paths"]:
        """Tokens after which only one leaf is left: up to the last branching one; at least 1."""
        numbers = torch.arange(1, self.upper.shape[1] + 1, device=self.upper.device)
        return (numbers * self.branching).amax(1).clamp(min=1)


def num_prefixes(catalog: Catalog, max_prefixes: int | None = None) -> int:
    """Levels that targets have if their prefixes end where paths part, `max_prefixes` at most."""
    most = max(1, catalog.path_shape.most_branchings)
    return most if max_prefixes is None else min(most, max_prefixes)


def prefix_lengths(
    catalog: Catalog, leaves: Int64[Tensor, " targets"], num_levels: int
) -> Int64[Tensor, "targets levels"]:
    """Tokens of the first `num_levels` prefixes of each leaf's path; 0 where it has fewer.

    Prefix m holds m tokens that had an alternative and all that is forced before the next such one.
    A path without any is one prefix.
    """
    steps = Steps.of(catalog, leaves)
    number = steps.branching.cumsum(1).clamp(min=1)
    exists = steps.num_children > 0
    levels = torch.arange(1, num_levels + 1, device=number.device)
    lengths = ((number[..., None] <= levels) & exists[..., None]).sum(1)
    return lengths.where(levels <= number[:, -1:], 0)


def prefix_competition(
    catalog: Catalog,
    candidates: Candidates,
    lengths: Int64[Tensor, "batch levels"],
    scaling: Scaling = "none",
) -> tuple[
    Bool[Tensor, "batch candidates levels"], Float[Tensor, "batch candidates levels"] | None
]:
    """Which candidates compete with a target's prefixes of `lengths` tokens, and their log-weights.

    As `competition`, but a candidate has as many tokens as the target's prefix at each level; one
    that ends before stands for itself. The prefixes of one level are therefore those of that many
    tokens and the items that end earlier. A mined prefix that is too short is none of them.

    Args:
        catalog: Tells prefixes apart.
        candidates: Column 0 the target.
        lengths: Tokens of each of the target's prefixes; 0 where there is none.
        scaling: As in `competition`.
    """
    nodes = candidate_nodes(catalog, candidates)
    known = (nodes >= 0).sum(-1)
    ends = catalog.is_leaf(nodes.gather(-1, (known - 1).clamp(min=0)[..., None])[..., 0].clamp(0))
    asked = lengths[:, None]
    exists = (asked > 0) & (known > 0)[..., None] & ((known[..., None] >= asked) | ends[..., None])
    last = torch.minimum(asked, known[..., None]) - 1
    nodes = nodes.gather(-1, last.clamp(min=0)).masked_fill(~exists, -1)
    counts = first_of_equals(nodes) & exists
    if scaling == "none":
        return counts, None
    total = _prefixes_of_length(catalog)[lengths]
    return counts, log_weights_of(catalog, nodes, counts, total, scaling)


_known_prefixes: WeakKeyDictionary[Catalog, Tensor] = WeakKeyDictionary()
"""What `_prefixes_of_length` has counted; a catalog never changes, and is forgotten with it."""


def _prefixes_of_length(catalog: Catalog) -> Int64[Tensor, " lengths"]:
    """Prefixes of 0, 1, 2, ... tokens, those that end before included; counted once a catalog."""
    known = _known_prefixes.get(catalog)
    if known is None:
        bounds = torch.tensor(catalog.level_start, device=catalog.device)
        lengths = (catalog.leaf_nodes >= 0).sum(1)
        ended = torch.bincount(lengths, minlength=catalog.num_levels + 1).cumsum(0)
        known = bounds.diff() + pad(ended[:-1], (1, 0))
        _known_prefixes[catalog] = known
    return known
