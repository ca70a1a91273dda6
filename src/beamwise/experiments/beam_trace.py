"""What a beam search kept and dropped for one user, with the scores of what it dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import eval_mode
from beamwise.backbones.products import fast_cpu_products
from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.search import Level, beam_levels


@dataclass(frozen=True)
class TracedLevel:
    """The children that one step of a beam scored, each part best first."""

    kept: Prefixes
    dropped: Prefixes
    ended: Prefixes
    """Leaves: whole token sequences, which hold no place in the beam."""


@torch.no_grad()
def trace_beam(request: SearchRequest, widths: Sequence[int]) -> list[TracedLevel]:
    """Follow `beam_search` for the one user of a request.

    A beam remembers only the best of what it drops. Its children are found again by searches that
    may enter nothing but its prefixes and drop nothing; eligibility changes no probability.

    Args:
        request: Of one user.
        widths: Prefixes kept, one number a level.
    """
    catalog = request.catalog
    with eval_mode(request.backbone), fast_cpu_products():
        levels = list(_levels(request, widths, None))
        traced: list[TracedLevel] = []
        live = torch.zeros(1, dtype=torch.int64, device=catalog.device)
        for depth, level in enumerate(levels):
            dropped = level.kept.where(torch.zeros_like(level.kept.nodes, dtype=torch.bool))
            if bool(level.best_dropped.isfinite().any()):
                unbounded = [catalog.num_nodes] * (depth + 1)
                scored = _levels(request, unbounded, items_below(catalog, live))[depth].kept
                dropped = scored.where(~torch.isin(scored.nodes, level.kept.nodes))
            traced.append(TracedLevel(*map(_best_first, (level.kept, dropped, level.leaves))))
            live = level.kept.nodes
    return traced


@torch.no_grad()
def path_log_probs(request: SearchRequest, items: Int64[Tensor, " items"]) -> dict[int, float]:
    """The log-probability of every prefix of some items, in nats, by node; retired items too."""
    catalog = replace(request.catalog, retired=None)
    request = replace(request, catalog=catalog)
    chosen = torch.zeros(catalog.num_items, dtype=torch.bool, device=catalog.device)
    chosen[items] = True
    if not bool(chosen.any()):
        return {}
    with eval_mode(request.backbone), fast_cpu_products():
        levels = _levels(request, [catalog.num_nodes] * catalog.num_levels, chosen)
    found = Prefixes.joined([part for level in levels for part in (level.kept, level.leaves)])
    return dict(zip(found.nodes.tolist(), found.log_probs.tolist(), strict=True))


def items_below(catalog: Catalog, nodes: Int64[Tensor, " nodes"]) -> Bool[Tensor, " items"]:
    """Which items' paths go through one of the nodes."""
    change = torch.zeros(catalog.num_items + 1, dtype=torch.int64, device=catalog.device)
    ones = torch.ones_like(nodes)
    first = catalog.leaf_item_start[catalog.leaf_start[nodes].long()].long()
    stop = catalog.leaf_item_start[catalog.leaf_stop[nodes].long()].long()
    change.index_add_(0, first, ones).index_add_(0, stop, -ones)
    below = torch.zeros(catalog.num_items, dtype=torch.bool, device=catalog.device)
    below[catalog.leaf_items.long()] = change.cumsum(0)[:-1] > 0
    return below


def _levels(
    request: SearchRequest, widths: Sequence[int], eligible: Bool[Tensor, " items"] | None
) -> list[Level]:
    user = torch.zeros(1, dtype=torch.int64, device=request.catalog.device)
    return list(beam_levels(request, user, widths, Eligibility(request.catalog, eligible)))


def _best_first(prefixes: Prefixes) -> Prefixes:
    return prefixes.where(prefixes.log_probs.sort(descending=True, stable=True).indices)
