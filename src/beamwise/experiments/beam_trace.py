"""What a beam search kept and dropped for one user, with the scores of what it dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import eval_mode
from beamwise.backbones.products import fast_cpu_products
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.full_sort import all_scored
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.search import beam_levels


@dataclass(frozen=True)
class TracedLevel:
    """The children that one step of a beam scored, each part best first."""

    kept: Prefixes
    dropped: Prefixes
    ended: Prefixes
    """Leaves: whole token sequences, which hold no place in the beam."""
    is_choice: bool
    """Whether a prefix that lived had several children, or something was dropped; else every token
    was forced."""


@torch.no_grad()
def trace_beam(request: SearchRequest, widths: Sequence[int]) -> list[TracedLevel]:
    """Follow `beam_search` for the one user of a request.

    Args:
        request: Of one user.
        widths: Prefixes kept, one number a level.
    """
    catalog = request.catalog
    live = torch.zeros(1, dtype=torch.int64, device=catalog.device)
    traced: list[TracedLevel] = []
    with eval_mode(request.backbone), fast_cpu_products():
        for level in beam_levels(request, live, widths, Eligibility(catalog, None)):
            found = torch.cat([level.kept.nodes, level.leaves.nodes])
            dropped = level.children.where(~torch.isin(level.children.nodes, found))
            branches = catalog.num_children(live) > 1
            is_choice = bool(branches.any()) or len(dropped.nodes) > 0
            kept, dropped, ended = map(_best_first, (level.kept, dropped, level.leaves))
            traced.append(TracedLevel(kept, dropped, ended, is_choice))
            live = level.kept.nodes
    return traced


@torch.no_grad()
def path_log_probs(request: SearchRequest, items: Int64[Tensor, " items"]) -> dict[int, float]:
    """The log-probability of every prefix of some items, in nats, by node; retired items too."""
    catalog = replace(request.catalog, retired=None)
    request = replace(request, catalog=catalog)
    chosen = torch.zeros(catalog.num_items, dtype=torch.bool, device=catalog.device)
    chosen[items] = True
    user = torch.zeros(1, dtype=torch.int64, device=catalog.device)
    found: dict[int, float] = {}
    if not bool(chosen.any()):
        return found
    with eval_mode(request.backbone), fast_cpu_products():
        for scored in all_scored(request, user, Eligibility(catalog, chosen)):
            for some in (scored.children, scored.passed):
                found |= zip(some.nodes.tolist(), some.log_probs.tolist(), strict=True)
    return found


def _best_first(prefixes: Prefixes) -> Prefixes:
    return prefixes.where(prefixes.log_probs.sort(descending=True, stable=True).indices)
