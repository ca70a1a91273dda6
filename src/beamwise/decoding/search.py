"""The search that all decoders share: all users, in chunks, level by level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from beamwise.backbones.base import eval_mode
from beamwise.backbones.products import fast_cpu_products
from beamwise.catalog import Catalog
from beamwise.decoding.branches import eligibility_of
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import Prefixes, keep_best
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import LeavesFound, SearchResult, rank_leaves
from beamwise.decoding.run_levels import level_scorer
from beamwise.decoding.run_search import beam_along_runs
from beamwise.decoding.runs import follows_runs


class Level(NamedTuple):
    """What a beam makes of the children of its prefixes."""

    leaves: Prefixes
    """All that end here."""
    kept: Prefixes
    """Those that live on."""
    best_dropped: Float[Tensor, " users"]
    """Log-probability of the best prefix that found no place, -inf where none was."""
    children: Prefixes
    """All of them: these and those that were dropped."""


@torch.no_grad()
def search(request: SearchRequest, widths: Sequence[int], chunk_size: int) -> SearchResult:
    """Search for every user, keeping `widths[level]` prefixes after each level.

    Args:
        request: What is asked.
        widths: One a level.
        chunk_size: Users searched at a time.
    """
    with eval_mode(request.backbone), fast_cpu_products():
        order, chunks = chunks_by_length(request.histories, chunk_size)
        found = [_search_chunk(request, users, widths) for users in chunks]
    return SearchResult.joined(found).rows(order.argsort())


def chunks_by_length(
    histories: Int64[Tensor, "batch history"] | Tensor, chunk_size: int
) -> tuple[Int64[Tensor, " batch"], Sequence[Tensor]]:
    """The users by the length of their histories, and the same in chunks.

    Users of similar length share a chunk, so that little of what is computed is padding.
    """
    order = (histories >= 0).sum(dim=1).argsort(stable=True)
    return order, order.split(chunk_size)


def beam_levels(
    request: SearchRequest,
    users: Int64[Tensor, " users"],
    widths: Sequence[int],
    eligibility: Eligibility,
) -> Iterator[Level]:
    """Search for some users at once, level by level until no prefix lives; see `search`.

    For those who ask what lives at every depth; where forced runs are long, `beam_along_runs` finds
    the same leaves with less work a depth. Both compute runs at once.

    Rows of what is found are positions among `users`. Callers choose mode and products, and keep no
    gradient.
    """
    catalog, backbone = request.catalog, request.backbone
    prefixes = Prefixes.roots(catalog, len(users))
    prefixes = prefixes.where(eligibility.below(prefixes.rows, prefixes.nodes))
    if len(prefixes.rows) == 0:
        return
    context = backbone.read(backbone.encode_histories(request.histories[users], catalog))
    scorer = level_scorer(request, context, eligibility)
    for depth, width in enumerate(widths):
        children = scorer.expand(prefixes, depth)
        is_leaf = catalog.is_leaf(children.nodes)
        prefixes, best_dropped = keep_best(children.where(~is_leaf), len(users), width)
        yield Level(children.where(is_leaf), prefixes, best_dropped, children)
        if len(prefixes.rows) == 0:
            return


def _search_chunk(
    request: SearchRequest, users: Int64[Tensor, " users"], widths: Sequence[int]
) -> SearchResult:
    catalog, eligibility = request.catalog, eligibility_of(request, users)
    if follows_runs(catalog):
        found = beam_along_runs(request, users, widths, eligibility)
    else:
        levels = list(beam_levels(request, users, widths, eligibility))
        found = leaves_of(levels, catalog, len(users))
    return rank_leaves(found, request.top_k, catalog, eligibility)


def leaves_of(levels: Sequence[Level], catalog: Catalog, num_users: int) -> LeavesFound:
    """The leaves that all levels of a search reached, and the best prefix that it ever dropped."""
    found = Prefixes.joined([level.leaves for level in levels] or [Prefixes.roots(catalog, 0)])
    best_dropped = torch.full((num_users,), -torch.inf, device=catalog.device)
    num_scored = torch.bincount(found.rows, minlength=num_users).clamp(max=1)  # the root
    for level in levels:
        best_dropped = torch.maximum(best_dropped, level.best_dropped)
        num_scored = num_scored + torch.bincount(level.kept.rows, minlength=num_users)
    leaves = catalog.leaf_start[found.nodes].long()
    return LeavesFound(found.rows, leaves, found.log_probs, best_dropped, num_scored)
