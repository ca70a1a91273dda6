"""The best leaves of every user, whatever they cost: an exact search, else a full sort."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import ListedItems, eligible_of
from beamwise.decoding.exact_search import MAX_PREFIXES, exact_search
from beamwise.decoding.full_sort import full_sort
from beamwise.decoding.results import SearchResult


def exact_ranking(
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
    *,
    max_prefixes: int = MAX_PREFIXES,
) -> SearchResult:
    """Search exactly, and sort everything for the users whose proof takes too many prefixes.

    Arguments, order and errors are those of `exact_search`.

    Returns:
        The best `top_k`; `exact` is true for every user. `num_scored` counts both searches.
    """
    found = exact_search(
        backbone, histories, catalog, top_k, mask, eligible, max_prefixes=max_prefixes
    )
    if bool(found.exact.all()):
        return found
    users = (~found.exact).nonzero()[:, 0]
    theirs = eligible_of(eligible, users)
    best = full_sort(backbone, histories[users], catalog, top_k, mask, theirs)
    both = best.num_scored + found.num_scored[users]
    return found.replaced(users, replace(best, num_scored=both))
