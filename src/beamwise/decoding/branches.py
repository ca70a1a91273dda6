"""A scorer of prefixes that can be parted: into fewer users, or into branches of the tree."""

from __future__ import annotations

from copy import copy

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import PrefixNodes
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import LOGITS_AT_ONCE, Prefixes, PrefixScorer
from beamwise.decoding.ranking import layout
from beamwise.decoding.request import SearchRequest


class BranchingScorer(PrefixScorer):
    """Shares what it has computed with the scorers made from it, and none changes another.

    That holds since a backbone's cache is never changed: `extend` returns another one.
    """

    def of_rows(self, rows: Int64[Tensor, " rows"], eligibility: Eligibility) -> BranchingScorer:
        """The scorer of these users, in this order, with all that was computed for them.

        Args:
            rows: Rows of the users.
            eligibility: Of these users.
        """
        some = copy(self)
        some._context = self._context.select(rows)
        some._cache = None if self._cache is None else self._cache.select(rows)
        some._eligibility = eligibility
        return some

    def expand_together(self, prefixes: Prefixes) -> Prefixes:
        """As `expand`, of prefixes of several depths >= 1; children are by row and node."""
        catalog = self._catalog
        levels = torch.tensor(catalog.level_start[1:], device=catalog.device)
        depth = torch.bucketize(prefixes.nodes, levels, right=True)
        place = layout(prefixes.rows, len(self._context.lengths))
        nodes = PrefixNodes(
            tokens=place.table(prefixes.tokens, -1),
            parents=place.table(prefixes.parents, -1),
            depth=place.table(depth, -1),
            context_length=place.table(self._context.lengths[place.rows], -1),
            first_of_depth=(0,) * catalog.num_levels,
        )
        hidden, self._cache = self._backbone.extend(self._context, nodes, self._cache)
        known = self._num_known + place.columns
        self._num_known += place.num_columns
        hidden = hidden[place.rows, place.columns]
        at_once = max(1, LOGITS_AT_ONCE // self._backbone.vocab_size)
        places = torch.arange(len(hidden), device=hidden.device).split(at_once)
        return Prefixes.joined([self._children(prefixes, known, hidden, some) for some in places])

    def branch(self) -> BranchingScorer:
        """A scorer that goes on from here by itself: what it computes, this one will not know."""
        return copy(self)


def eligibility_of(request: SearchRequest, users: Int64[Tensor, " users"]) -> Eligibility:
    """What a request allows some of its users."""
    eligible = request.eligible
    if eligible is not None and eligible.ndim == 2:
        eligible = eligible[users]
    return Eligibility(request.catalog, eligible)
