"""The log-probability of everything in the catalog, every prefix computed once per user."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, eval_mode
from beamwise.backbones.products import fast_cpu_products
from beamwise.catalog import Catalog
from beamwise.decoding.branches import BranchingScorer, eligibility_of
from beamwise.decoding.eligibility import Eligibility, ListedItems
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.ranking import layout
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import LeavesFound, SearchResult, rank_leaves
from beamwise.decoding.search import chunks_by_length

PREFIXES_AT_ONCE = 2**11
"""Prefixes that the backbone computes at a time, over all users of a chunk. On Office with a small
Llama and a TIGER of the paper's size, one core, 2**10 to 2**12 were equally fast, fewer slower."""
PREFIXES_HELD = 2**15
"""Computed prefixes held at a time, which a tree of many levels shares among them: 8 KiB each in a
Llama of the paper's size, so 256 MiB."""


@torch.no_grad()
def full_sort(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"] | Tensor,
    catalog: Catalog,
    top_k: int = 20,
    mask: str = "after",
    eligible: Bool[Tensor, " items"]
    | Bool[Tensor, "batch items"]
    | Tensor
    | ListedItems
    | None = None,
) -> SearchResult:
    """Score all leaves of the catalog; arguments, order and errors are those of `beam_search`.

    Every prefix with something eligible below is computed once per user, the tree some prefixes at
    a time. `exact_search` returns the same at a part of the price.

    Returns:
        The best `top_k`; `exact` is true for every user.
    """
    request = SearchRequest(backbone, histories, catalog, top_k, mask, eligible)
    with eval_mode(backbone), fast_cpu_products():
        order, chunks = chunks_by_length(histories, _users_at_once(catalog))
        found = [_rank_all(request, users) for users in chunks]
    return SearchResult.joined(found).rows(order.argsort())


@torch.no_grad()
def node_log_probs(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"] | Tensor,
    catalog: Catalog,
    mask: str = "after",
) -> Float[Tensor, "batch nodes"]:
    """The log-probability of every prefix of the catalog, in nats; the root's is 0.

    Every prefix is computed once per user. Columns are the catalog's nodes, so those of depth d are
    `catalog.level_start[d]` to `catalog.level_start[d + 1]`, and a leaf's is its items'. What no
    search enters has -inf: a prefix with nothing but retired items below, or of probability zero.

    Args:
        backbone: On the catalog's device; used in evaluation mode, its own is restored.
        histories: Item indices in time order, right-padded with -1.
        catalog: Whose tree.
        mask: As in `beam_search`.

    Raises:
        ValueError: If an argument is out of range, or the backbone gives NaN.
    """
    request = SearchRequest(backbone, histories, catalog, 1, mask, None)
    scores = torch.full((len(histories), catalog.num_nodes), -torch.inf, device=catalog.device)
    scores[:, 0] = 0.0
    with eval_mode(backbone), fast_cpu_products():
        for users in chunks_by_length(histories, _users_at_once(catalog))[1]:
            for children in all_children(request, users, Eligibility(catalog, None)):
                scores = scores.to(torch.promote_types(scores.dtype, children.log_probs.dtype))
                scores[users[children.rows], children.nodes] = children.log_probs
    return scores


class _Branch(NamedTuple):
    """Prefixes of one depth, whose children are to be scored on top of what a scorer knows."""

    scorer: BranchingScorer
    prefixes: Prefixes
    depth: int


def all_children(
    request: SearchRequest, users: Int64[Tensor, " users"], eligibility: Eligibility
) -> Iterator[Prefixes]:
    """Every prefix of the catalog but the root, some at a time, upper ones before those below.

    The tree is walked in branches of `PREFIXES_AT_ONCE` prefixes, one as deep as it goes before the
    next, so that memory does not grow with the catalog. Rows are positions among `users`.
    """
    catalog, backbone = request.catalog, request.backbone
    roots = Prefixes.roots(catalog, len(users))
    roots = roots.where(eligibility.below(roots.rows, roots.nodes))
    if len(roots.rows) == 0:
        return
    context = backbone.read(backbone.encode_histories(request.histories[users], catalog))
    scorer = BranchingScorer(backbone, context, catalog, request.mask, eligibility)
    at_once = max(1, _prefixes_at_once(catalog) // len(users))
    branches = [_Branch(scorer, roots, 0)]
    while branches:
        scorer, prefixes, depth = branches.pop()
        children = scorer.expand(prefixes, depth)
        yield children
        inner = children.where(~catalog.is_leaf(children.nodes))
        for part in _parts(inner, len(users), at_once):
            branches.append(_Branch(scorer.branch(), part, depth + 1))


def _parts(prefixes: Prefixes, num_rows: int, at_once: int) -> list[Prefixes]:
    """The prefixes in parts of about one size, up to `at_once` of every row in each."""
    place = layout(prefixes.rows, num_rows)
    num_parts = math.ceil(place.num_columns / at_once)
    if num_parts <= 1:
        return [prefixes][:num_parts]
    part = place.columns * num_parts // place.num_columns
    return [prefixes.where(part == number) for number in range(num_parts)]


def _prefixes_at_once(catalog: Catalog) -> int:
    """At each level above a branch a cache holds all from there up: levels**2 / 2 parts in all."""
    return max(1, min(PREFIXES_AT_ONCE, 2 * PREFIXES_HELD // catalog.num_levels**2))


def _users_at_once(catalog: Catalog) -> int:
    """As many as share one call where the tree is small."""
    num_inner = catalog.num_nodes - catalog.num_leaves
    return max(1, _prefixes_at_once(catalog) // num_inner)


def _rank_all(request: SearchRequest, users: Int64[Tensor, " users"]) -> SearchResult:
    catalog, num_users = request.catalog, len(users)
    eligibility = eligibility_of(request, users)
    leaves = [Prefixes.roots(catalog, 0)]
    num_scored = torch.zeros_like(users)
    for children in all_children(request, users, eligibility):
        is_leaf = catalog.is_leaf(children.nodes)
        leaves.append(children.where(is_leaf))
        num_scored += torch.bincount(children.rows[~is_leaf], minlength=num_users)
    found = Prefixes.joined(leaves)
    num_scored += torch.bincount(found.rows, minlength=num_users).clamp(max=1)  # the root
    return rank_leaves(
        LeavesFound(
            found.rows,
            catalog.leaf_start[found.nodes].long(),
            found.log_probs,
            found.log_probs.new_full((num_users,), -torch.inf),
            num_scored,
        ),
        request.top_k,
        catalog,
        eligibility,
    )
