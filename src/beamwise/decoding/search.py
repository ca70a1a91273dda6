"""The search that beam search and full sort share: all users, in chunks, level by level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import eval_mode
from beamwise.backbones.products import fast_cpu_products
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import Prefixes, PrefixScorer, Pruned, keep_best
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import LeavesFound, SearchResult, rank_leaves


@torch.no_grad()
def search(request: SearchRequest, widths: Sequence[int], chunk_size: int) -> SearchResult:
    """Search for every user, keeping `widths[level]` prefixes after each level.

    Users of similar history length share a chunk, so that little of what is computed is padding.
    """
    lengths = (request.histories >= 0).sum(dim=1)
    order = lengths.argsort(stable=True)
    chunks = order.split(chunk_size)
    with eval_mode(request.backbone), fast_cpu_products():
        results = SearchResult.joined([_search_chunk(request, rows, widths) for rows in chunks])
    return results.rows(order.argsort())


def _search_chunk(
    request: SearchRequest, users: Int64[Tensor, " users"], widths: Sequence[int]
) -> SearchResult:
    eligible = request.eligible
    if eligible is not None and eligible.ndim == 2:
        eligible = eligible[users]
    eligibility = Eligibility(request.catalog, eligible)
    found, best_dropped = _explore(request, users, widths, eligibility)
    leaves = request.catalog.leaf_start[found.nodes].long()
    return rank_leaves(
        LeavesFound(found.rows, leaves, found.log_probs, best_dropped),
        request.top_k,
        request.catalog,
        eligibility,
    )


def _explore(
    request: SearchRequest,
    users: Int64[Tensor, " users"],
    widths: Sequence[int],
    eligibility: Eligibility,
) -> Pruned:
    """The leaves that a beam of these widths reaches, and the best prefix that it ever dropped."""
    catalog, backbone, num_rows = request.catalog, request.backbone, len(users)
    prefixes = Prefixes.roots(catalog, num_rows)
    prefixes = prefixes.where(eligibility.below(prefixes.rows, prefixes.nodes))
    best_dropped = torch.full((num_rows,), -torch.inf, device=catalog.device)
    if len(prefixes.rows) == 0:
        return Pruned(prefixes, best_dropped)
    context = backbone.read(backbone.encode_histories(request.histories[users], catalog))
    scorer = PrefixScorer(backbone, context, catalog, request.mask, eligibility)
    found: list[Prefixes] = []
    for depth, width in enumerate(widths):
        children = scorer.expand(prefixes, depth)
        is_leaf = catalog.is_leaf(children.nodes)
        found.append(children.where(is_leaf))
        prefixes, dropped = keep_best(children.where(~is_leaf), num_rows, width)
        best_dropped = torch.maximum(best_dropped, dropped)
        if len(prefixes.rows) == 0:
            break
    return Pruned(Prefixes.joined(found), best_dropped)
