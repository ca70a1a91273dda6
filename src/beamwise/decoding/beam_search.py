"""Beam search constrained to a catalog, which knows whether it was exact."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import ListedItems
from beamwise.decoding.request import SearchRequest, widths_by_level
from beamwise.decoding.results import SearchResult
from beamwise.decoding.search import search

PREFIXES_AT_ONCE, TOKENS_AT_ONCE, MOST_USERS = 640, 3072, 32
"""Prefixes of a level over all users of a chunk, tokens of their histories, padding included, and
users: those of a chunk where none is asked for. Fewer leave products small, more push activations
out of the cache. Of 4 to 32 users, on one core with fp32 models of the paper's sizes, K = 20: 32
were best with histories of 20 items, 8 to 16 with 50, and 4 with 100, half the time of 32."""


def beam_search(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"] | Tensor,
    catalog: Catalog,
    beam_width: int | Sequence[int] = 20,
    top_k: int | None = None,
    mask: str = "after",
    eligible: Bool[Tensor, " items"]
    | Bool[Tensor, "batch items"]
    | Tensor
    | ListedItems
    | None = None,
    *,
    chunk_size: int | None = None,
) -> SearchResult:
    """Keep the best prefixes level by level, and return the best leaves and their items.

    A prefix's score is the plain sum of its tokens' log-probabilities, in nats, never divided by
    its length; ties go to the lower index. A leaf reached before the last level goes to the results
    and holds no place in the beam. A leaf of probability zero is never returned. On titles, where
    most tokens are forced, runs of these are computed at once, and with the mask before the softmax
    not at all once the title is decided; results are those of a search token by token.

    Args:
        backbone: On the catalog's device; searched in evaluation mode, its own is restored.
        histories: Item indices in time order, right-padded with -1.
        catalog: What may be returned.
        beam_width: Prefixes kept after each level; one number, or one a level.
        top_k: Leaves and items returned; the last beam width where not given.
        mask: Probabilities are normalised over the whole vocabulary and illegal tokens dropped
            ("after"), or over the catalog's legal tokens ("before"); never over eligible ones.
        eligible: Items that may be returned, for all users or by user, as a mask or as lists
            (`ListedItems`); all where not given, and never those that the catalog has retired. A
            prefix with nothing eligible below is never entered, so each that is kept leads to a
            result, and `top_k` eligible items come back where they exist, provided that no width
            is below `top_k` and no probability is zero.
        chunk_size: Users searched at a time; changes speed and memory only. Where not given, as
            many as `PREFIXES_AT_ONCE` and `TOKENS_AT_ONCE` leave room for.

    Returns:
        Among others `exact`: true where every prefix that was pruned, with something eligible
        below, scores below the k-th leaf by more than 1e-5 nats, or nothing was pruned.

    Raises:
        ValueError: If an argument is out of range, or the backbone gives NaN.
    """
    widths, num_results = widths_by_level(beam_width, top_k, catalog)
    request = SearchRequest(backbone, histories, catalog, num_results, mask, eligible)
    if chunk_size is None:
        tokens = max(1, math.ceil(histories.shape[1] * catalog.path_shape.mean_tokens))
        most = min(MOST_USERS, PREFIXES_AT_ONCE // max(widths), TOKENS_AT_ONCE // tokens)
        chunk_size = max(1, most)
    elif chunk_size < 1:
        raise ValueError(f"chunk_size must be >= 1, got {chunk_size}: search at least one user")
    return search(request, widths, chunk_size)
