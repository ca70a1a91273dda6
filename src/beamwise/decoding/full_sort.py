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
from beamwise.decoding.runs import follows_runs, num_prefixes_scored, scorer_of
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
        order, chunks = chunks_by_length(histories, _users_at_once(catalog, mask))
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
        for users in chunks_by_length(histories, _users_at_once(catalog, mask))[1]:
            for scored in all_scored(request, users, Eligibility(catalog, None)):
                for some in (scored.children, scored.passed):
                    scores = scores.to(torch.promote_types(scores.dtype, some.log_probs.dtype))
                    scores[users[some.rows], some.nodes] = some.log_probs
    return scores


class Scored(NamedTuple):
    """Some prefixes of the catalog with their scores."""

    children: Prefixes
    """Of the prefixes that were expanded; on titles, those with which a forced run begins."""
    is_leaf: Bool[Tensor, " children"]
    """Which are items, or as certain as the only leaf below them."""
    passed: Prefixes
    """What else lies on forced runs; of these only rows, nodes and scores mean anything."""
    num_computed: Int64[Tensor, " users"]
    """Prefixes that were computed for each user."""


class _Branch(NamedTuple):
    """Prefixes of one depth, whose children are to be scored on top of what a scorer knows."""

    scorer: BranchingScorer
    prefixes: Prefixes
    depth: int


def all_scored(
    request: SearchRequest, users: Int64[Tensor, " users"], eligibility: Eligibility
) -> Iterator[Scored]:
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
    scorer = scorer_of(request, context, eligibility)
    at_once = max(1, _prefixes_at_once(catalog) // len(users))
    is_leaf = scorer.is_result(roots.nodes)
    if bool(is_leaf.all()):  # above a single title
        yield Scored(roots, is_leaf, scorer.below_results(roots), torch.zeros_like(users))
        return
    branches = [_Branch(scorer, roots, 0)]
    while branches:
        scorer, prefixes, depth = branches.pop()
        costs = scorer.costs(prefixes.nodes)
        work = torch.ones_like(prefixes.rows) if costs is None else costs
        num_computed = torch.zeros_like(users).index_add_(0, prefixes.rows, work)
        children, passed = scorer.expand_wholly(prefixes, depth)
        is_leaf = scorer.is_result(children.nodes)
        yield Scored(children, is_leaf, passed, num_computed)
        inner = children.where(~is_leaf)
        for part in _parts(inner, len(users), at_once, scorer.costs(inner.nodes)):
            branches.append(_Branch(scorer.branch(), part, depth + 1))


def _parts(
    prefixes: Prefixes, num_rows: int, at_once: int, costs: Int64[Tensor, " prefixes"] | None
) -> list[Prefixes]:
    """The prefixes in parts of about one size, up to `at_once` to compute of every row in each."""
    place = layout(prefixes.rows, num_rows)
    before, most = place.columns, place.num_columns
    if costs is not None and most:
        spent = place.table(costs, 0).cumsum(1)
        most = int(spent[:, -1].max())
        before = spent[place.rows, place.columns] - costs
    num_parts = math.ceil(most / at_once)
    if num_parts <= 1:
        return [prefixes][:num_parts]
    part = before * num_parts // most
    parts = [prefixes.where(part == number) for number in range(num_parts)]
    return [part for part in parts if len(part.rows)]


def _prefixes_at_once(catalog: Catalog) -> int:
    """At each level above a branch a cache holds all from there up: levels**2 / 2 parts in all."""
    runs = follows_runs(catalog)
    num_levels = catalog.path_shape.most_branchings + 1 if runs else catalog.num_levels
    return max(1, min(PREFIXES_AT_ONCE, 2 * PREFIXES_HELD // num_levels**2))


def _users_at_once(catalog: Catalog, mask: str) -> int:
    """As many as share one call where little is computed for each."""
    num_computed = max(1, num_prefixes_scored(catalog, mask))  # of a single title nothing may be
    return max(1, _prefixes_at_once(catalog) // num_computed)


def _rank_all(request: SearchRequest, users: Int64[Tensor, " users"]) -> SearchResult:
    catalog, num_users = request.catalog, len(users)
    eligibility = eligibility_of(request, users)
    leaves = [Prefixes.roots(catalog, 0)]
    num_scored = torch.zeros_like(users)
    for scored in all_scored(request, users, eligibility):
        leaves.append(scored.children.where(scored.is_leaf))
        num_scored += scored.num_computed
    found = Prefixes.joined(leaves)
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
