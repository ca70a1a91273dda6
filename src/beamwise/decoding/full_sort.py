"""Scores every prefix of the catalog and sorts all leaves: exact, at the price of its size."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import SearchResult
from beamwise.decoding.search import search

PREFIXES_AT_ONCE = 2**14
"""Prefixes of one level computed at a time, over all users of a chunk; at least one user's."""


def full_sort(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"] | Tensor,
    catalog: Catalog,
    top_k: int = 20,
    mask: str = "after",
    eligible: Bool[Tensor, " items"] | Bool[Tensor, "batch items"] | Tensor | None = None,
) -> SearchResult:
    """Rank all leaves of the catalog; arguments, order and errors are those of `beam_search`.

    Returns:
        The best `top_k`; `exact` is true for every user.
    """
    request = SearchRequest(backbone, histories, catalog, top_k, mask, eligible)
    sizes = [stop - start for start, stop in pairwise(catalog.level_start[:-1])]
    chunk_size = max(1, PREFIXES_AT_ONCE // max(sizes))
    return search(request, [catalog.num_nodes] * catalog.num_levels, chunk_size)
