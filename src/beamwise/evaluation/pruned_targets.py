"""At which token a beam lost targets that deserved a place, without the scores of a whole tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import eval_mode
from beamwise.backbones.products import fast_cpu_products
from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.search import beam_levels

PRUNED_AT, PRUNED_BY_TOKEN = "pruned_at", "pruned_by_token"
USERS_AT_ONCE = 32
FIRST_TOKENS = 4
"""Tokens that are counted one by one where a line must hold all: semantic IDs have no more."""


class Losses(NamedTuple):
    """Where a beam lost the targets of some users."""

    pruned_at: Int64[Tensor, " users"]
    """Tokens of the target's first prefix without a place in the beam, from 1; 0 where all have
    one."""
    by_token: Bool[Tensor, " users"]
    """Whether the last of these tokens is alone to blame: it is not among as many most probable
    ones after its true prefix as the beam is wide there, so that the prefix had no place whatever
    the rest of the beam. BEAR's necessary condition is that no token is so."""

    @classmethod
    def none(cls, num_users: int, device: torch.device) -> Losses:
        """Nothing lost."""
        zeros = torch.zeros(num_users, dtype=torch.int64, device=device)
        return cls(zeros, zeros.bool())


@dataclass(frozen=True)
class PrunedTargets:
    """How many targets a beam lost at each token, of those among the best of an exact ranking."""

    at: Mapping[int, int]
    """By the tokens of the first prefix lost, ascending."""
    by_token: int
    """Those that one token explains."""

    @classmethod
    def of(cls, tables: Sequence[pl.DataFrame]) -> PrunedTargets | None:
        """Over the rows of some evaluations; None where one does not tell."""
        if not tables or any(PRUNED_AT not in table.columns for table in tables):
            return None
        lost = pl.concat([table.select(PRUNED_AT, PRUNED_BY_TOKEN) for table in tables])
        counts = lost.drop_nulls().group_by(PRUNED_AT).len().sort(PRUNED_AT)
        at = dict(zip(*(counts[name].to_list() for name in counts.columns), strict=True))
        return cls(at, int(lost[PRUNED_BY_TOKEN].sum() or 0))

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.at.values())

    @property
    def at_first_tokens(self) -> tuple[int, ...]:
        """Those lost at each of the first `FIRST_TOKENS` tokens, and at any later one."""
        first = tuple(self.at.get(number, 0) for number in range(1, FIRST_TOKENS + 1))
        return (*first, self.total - sum(first))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"at": {str(number): n for number, n in self.at.items()}, "by_token": self.by_token}


@torch.no_grad()
def where_pruned(
    request: SearchRequest, widths: Sequence[int], target_leaves: Int64[Tensor, " batch"]
) -> Losses:
    """Repeat a beam search and watch the targets' prefixes.

    Args:
        request: Of some users; with no eligibility beyond the catalog's.
        widths: Prefixes kept, one number a level.
        target_leaves: Leaf of each target, whose probability is not zero.
    """
    users = torch.arange(len(target_leaves), device=request.catalog.device)
    found = [Losses.none(0, users.device)]
    with eval_mode(request.backbone), fast_cpu_products():
        for some in users.split(USERS_AT_ONCE):
            found.append(_watch(request, widths, some, target_leaves[some]))
    return Losses(*map(torch.cat, zip(*found, strict=True)))


def _watch(
    request: SearchRequest,
    widths: Sequence[int],
    users: Int64[Tensor, " users"],
    leaves: Int64[Tensor, " users"],
) -> Losses:
    catalog = request.catalog
    path = torch.nn.functional.pad(catalog.leaf_nodes[leaves].long(), (1, 0))  # from the root
    pruned_at, by_token = Losses.none(len(users), users.device)
    levels = beam_levels(request, users, widths, Eligibility(catalog, None))
    for depth, (level, width) in enumerate(zip(levels, widths, strict=False), start=1):
        parents, nodes = path[:, depth - 1], path[:, depth]
        is_open = (nodes >= 0) & ~catalog.is_leaf(nodes.clamp(min=0))
        rows, kept = level.kept.rows, level.kept.nodes
        has_place = _count(rows[kept == nodes[rows]], len(users)) > 0
        fell = is_open & ~has_place & (pruned_at == 0)
        pruned_at = torch.where(fell, depth, pruned_at)
        better = _num_better_siblings(level.children, parents, nodes, catalog)
        by_token |= fell & (better >= width)
    return Losses(pruned_at, by_token)


def _num_better_siblings(
    children: Prefixes,
    parents: Int64[Tensor, " users"],
    nodes: Int64[Tensor, " users"],
    catalog: Catalog,
) -> Int64[Tensor, " users"]:
    """Tokens that come before the target's own after the same prefix, of those that compete.

    A token that ends an item holds no place in a beam. Any number where the parent was lost.
    """
    parents = parents.clamp(min=0)
    first = catalog.child_start[parents].long() + 1
    last = catalog.child_start[parents + 1].long()
    rows = children.rows
    is_own = children.nodes == nodes[rows]
    own = children.log_probs.new_full((len(nodes),), torch.inf)
    own[rows[is_own]] = children.log_probs[is_own]
    is_sibling = (children.nodes >= first[rows]) & (children.nodes <= last[rows])
    is_tied = (children.log_probs == own[rows]) & (children.nodes < nodes[rows])
    is_better = is_sibling & ((children.log_probs > own[rows]) | is_tied)
    return _count(rows[is_better & ~catalog.is_leaf(children.nodes)], len(nodes))


def _count(rows: Int64[Tensor, " some"], num_users: int) -> Int64[Tensor, " users"]:
    return torch.bincount(rows, minlength=num_users)
