"""What a search returns: the best leaves, and the items that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.ranking import layout, ranked_top_k

EXACTNESS_TOLERANCE = 1e-5
"""Nats by which everything pruned must score below the k-th leaf: rounding of fp32 sums."""


@dataclass(frozen=True)
class SearchResult:
    """The best leaves and items of each user: log-probability descending, then index."""

    leaves: Int64[Tensor, "batch k"]
    """Distinct token sequences, as leaves of the catalog; -1 where there are fewer."""
    leaf_log_probs: Float[Tensor, "batch k"]
    """Sum over the tokens, in nats; -inf where there are fewer."""
    items: Int64[Tensor, "batch k"]
    """The leaves' items, by item index within a leaf, cut to k; -1 where there are fewer."""
    log_probs: Float[Tensor, "batch k"]
    """Each item's, which is its leaf's; -inf where there are fewer."""
    tokens: Int64[Tensor, "batch k levels"]
    """Each item's path, padded with -1."""
    exact: Bool[Tensor, " batch"]
    """Whether the search proved that no other leaf belongs among the k."""
    num_scored: Int64[Tensor, " batch"]
    """Prefixes that the backbone computed, so as to score what follows, the empty one included."""

    def rows(self, chosen: Int64[Tensor, " chosen"]) -> SearchResult:
        """The results of these users, in this order."""
        return SearchResult(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def replaced(self, users: Int64[Tensor, " users"], others: SearchResult) -> SearchResult:
        """The same, with the results of `users` taken from `others`."""
        pairs = ((getattr(self, field.name), getattr(others, field.name)) for field in fields(self))
        return SearchResult(*(mine.index_copy(0, users, new) for mine, new in pairs))

    @classmethod
    def joined(cls, parts: Sequence[SearchResult]) -> SearchResult:
        """The results of several batches, one after the other."""
        columns = [[getattr(part, field.name) for part in parts] for field in fields(cls)]
        return cls(*(torch.cat(column) for column in columns))


class LeavesFound(NamedTuple):
    """All leaves that a search reached, in any order."""

    rows: Int64[Tensor, " found"]
    """The user of each."""
    leaves: Int64[Tensor, " found"]
    """Distinct within a row; each has an eligible item."""
    log_probs: Float[Tensor, " found"]
    best_dropped: Float[Tensor, " batch"]
    """Log-probability of the best prefix left unexplored, by user; -inf where none was."""
    num_scored: Int64[Tensor, " batch"]
    """As in `SearchResult`."""


def rank_leaves(
    found: LeavesFound, top_k: int, catalog: Catalog, eligibility: Eligibility
) -> SearchResult:
    """Rank the leaves in the total order, and expand the best `top_k` to eligible items."""
    rows, leaves, log_probs, best_dropped, num_scored = found
    num_rows = len(best_dropped)
    order = (rows * catalog.num_leaves + leaves).argsort()  # so that ties go to the lower leaf
    rows, leaves, log_probs = rows[order], leaves[order], log_probs[order]
    place = layout(rows, num_rows)
    table = place.table(log_probs, -torch.inf)
    best = ranked_top_k(table, top_k)
    missing = top_k - best.shape[1]
    ranked = _pad_right(place.table(leaves, -1).gather(1, best), missing, -1)
    scores = _pad_right(table.gather(1, best), missing, -torch.inf)
    items, item_scores = _expand_to_items(ranked, scores, catalog, eligibility)
    paths = catalog.leaf_tokens[catalog.leaf_of_item[items.clamp(min=0)].long()].long()
    return SearchResult(
        leaves=ranked,
        leaf_log_probs=scores,
        items=items,
        log_probs=item_scores,
        tokens=paths.masked_fill((items < 0)[..., None], -1),
        exact=(best_dropped < scores[:, -1] - EXACTNESS_TOLERANCE) | (best_dropped == -torch.inf),
        num_scored=num_scored,
    )


def _expand_to_items(
    leaves: Int64[Tensor, "batch k"],
    log_probs: Float[Tensor, "batch k"],
    catalog: Catalog,
    eligibility: Eligibility,
) -> tuple[Int64[Tensor, "batch k"], Float[Tensor, "batch k"]]:
    num_rows, top_k = leaves.shape
    rows, ranks = (leaves >= 0).nonzero(as_tuple=True)
    items, offsets = catalog.items_of(leaves[rows, ranks])
    counts = offsets.diff()
    rows, ranks = rows.repeat_interleave(counts), ranks.repeat_interleave(counts)
    allowed = eligibility.of_items(rows, items)
    rows, ranks, items = rows[allowed], ranks[allowed], items[allowed]
    place = layout(rows, num_rows)
    missing = top_k - place.num_columns
    scores = place.table(log_probs[rows, ranks], -torch.inf)
    return _pad_right(place.table(items, -1), missing, -1), _pad_right(scores, missing, -torch.inf)


def _pad_right(table: Tensor, missing: int, fill: int | float) -> Tensor:
    """Fill up to the wanted columns; cut where `missing` is negative."""
    return torch.nn.functional.pad(table, (0, missing), value=fill)
