"""A scorer of prefixes that can be parted: into fewer users, or into branches of the tree."""

from __future__ import annotations

from copy import copy

from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.decoding.eligibility import Eligibility, eligible_of
from beamwise.decoding.levels import Prefixes, PrefixScorer
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
        return self.expand(prefixes, self._catalog.depth_of(prefixes.nodes))

    def expand_wholly(self, prefixes: Prefixes, depth: int) -> tuple[Prefixes, Prefixes]:
        """The children of prefixes of one depth, and what else was scored on the way: here none."""
        children = self.expand(prefixes, depth)
        return children, self.below_results(children)

    def below_results(self, prefixes: Prefixes) -> Prefixes:
        """What lies below those that are results, and has their score: here none."""
        return prefixes.where(prefixes.nodes[:0])

    def is_result(self, nodes: Int64[Tensor, " nodes"]) -> Bool[Tensor, " nodes"]:
        """Which of the prefixes that a search reached are items, and not to be expanded."""
        return self._catalog.is_leaf(nodes)

    def costs(self, nodes: Int64[Tensor, " nodes"]) -> Int64[Tensor, " nodes"] | None:  # noqa: ARG002
        """Prefixes that the backbone computes to expand each; None where it is one each."""
        return None

    def branch(self) -> BranchingScorer:
        """A scorer that goes on from here by itself: what it computes, this one will not know."""
        return copy(self)


def eligibility_of(request: SearchRequest, users: Int64[Tensor, " users"]) -> Eligibility:
    """What a request allows some of its users."""
    return Eligibility(request.catalog, eligible_of(request.eligible, users))
