"""The best leaves of the whole catalog: wider and wider beams, until none can be missing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import SearchResult
from beamwise.decoding.search import search

PREFIXES_AT_ONCE, CHILDREN_AT_ONCE = 2**13, 2**20
"""Prefixes of one level that the backbone computes at a time, and their children, over all users of
a chunk; at least one user's. The wider the beam, the fewer users at a time: this bounds memory."""
LEAST_WIDTH, WIDTH_PER_RESULT, GROWTH = 32, 2, 8
"""Prefixes kept at first, at least and for each result, and the factor by which those that nothing
proves grow. Twice the results nearly always find the true k-th score, within which few prefixes
remain, so the next beam drops none of them. On Office with small TIGERs, top 20, one core, first
widths of 32 to 96, factors of 4 to 16 and 2**12 to 2**15 prefixes at once were tried."""


def full_sort(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"] | Tensor,
    catalog: Catalog,
    top_k: int = 20,
    mask: str = "after",
    eligible: Bool[Tensor, " items"] | Bool[Tensor, "batch items"] | Tensor | None = None,
) -> SearchResult:
    """Rank all leaves of the catalog; arguments, order and errors are those of `beam_search`.

    A beam finds some k leaves first. No prefix that scores below the last of them can lead to a
    better one, so users whose beam proves nothing are searched again without such prefixes, in
    wider and wider beams, the last as wide as the tree: nothing is left out but what cannot win.

    Returns:
        The best `top_k`; `exact` is true for every user.
    """
    request = SearchRequest(backbone, histories, catalog, top_k, mask, eligible)
    widest = max(stop - start for start, stop in pairwise(catalog.level_start[:-1]))
    width = max(LEAST_WIDTH, WIDTH_PER_RESULT * top_k)
    best = _search(request, min(width, widest))
    floors = best.leaf_log_probs[:, -1]
    while width < widest and not bool(best.exact.all()):
        width *= GROWTH
        open_users = (~best.exact).nonzero()[:, 0]
        found = _search(_of_users(request, open_users), min(width, widest), floors[open_users])
        best = best.replaced(open_users, found)
        floors = torch.maximum(floors, best.leaf_log_probs[:, -1])
    return best


def _search(request: SearchRequest, width: int, floors: Tensor | None = None) -> SearchResult:
    catalog = request.catalog
    most_children = int(catalog.child_start.diff().max())
    largest_level = max(stop - start for start, stop in pairwise(catalog.level_start))
    num_children = min(width * most_children, largest_level)
    chunk_size = min(PREFIXES_AT_ONCE // width, CHILDREN_AT_ONCE // num_children)
    return search(request, [width] * catalog.num_levels, max(1, chunk_size), floors)


def _of_users(request: SearchRequest, users: Int64[Tensor, " users"]) -> SearchRequest:
    eligible = request.eligible
    if eligible is not None and eligible.ndim == 2:
        eligible = eligible[users]
    return replace(request, histories=request.histories[users], eligible=eligible)
