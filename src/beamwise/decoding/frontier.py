"""What a search of some users knows so far: leaves found, and prefixes that could lead to more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from beamwise.decoding.branches import BranchingScorer, eligibility_of
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.ranking import layout, ranked_top_k
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import EXACTNESS_TOLERANCE, LeavesFound, SearchResult, rank_leaves
from beamwise.decoding.runs import scorer_of


@dataclass
class Frontier:
    """The open prefixes of some users, and what was made of the others.

    An open prefix has been reached, its children have not been scored, and it scores no worse than
    the floor, which is the k-th leaf found, less the tolerance. `advance` changes all of it.
    """

    request: SearchRequest
    users: Int64[Tensor, " users"]
    max_prefixes: int
    """Prefixes computed per user, at most."""
    eligibility: Eligibility
    scorer: BranchingScorer | None
    """None where nothing was ever open."""
    open: Prefixes
    """By row, which is a position among the users, and node; on titles, where forced runs begin."""
    leaves: Prefixes
    """Found so far, but those below the floor; in the same order."""
    floors: Float[Tensor, " users"]
    """Log-probability of the k-th leaf found, -inf where there are fewer."""
    best_dropped: Float[Tensor, " users"]
    """Of the best prefix given up, as it found no place within `max_prefixes`; -inf where none."""
    num_scored: Int64[Tensor, " users"]

    @classmethod
    def after_beam(
        cls, request: SearchRequest, users: Int64[Tensor, " users"], max_prefixes: int, width: int
    ) -> Frontier:
        """Read the users' histories and search once with a beam; what it prunes is open."""
        catalog, backbone = request.catalog, request.backbone
        eligibility = eligibility_of(request, users)
        roots = Prefixes.roots(catalog, len(users))
        roots = roots.where(eligibility.below(roots.rows, roots.nodes))
        scorer = None
        if len(roots.rows):
            context = backbone.read(backbone.encode_histories(request.histories[users], catalog))
            scorer = scorer_of(request, context, eligibility)
        none = roots.where(torch.zeros_like(roots.rows, dtype=torch.bool))
        lowest = torch.full((len(users),), -torch.inf, device=catalog.device)
        frontier = cls(
            request,
            users,
            max_prefixes,
            eligibility,
            scorer,
            open=none,
            leaves=none,
            floors=lowest,
            best_dropped=lowest,
            num_scored=torch.zeros_like(users),
        )
        if scorer is not None:
            frontier._beam(scorer, roots, width)
        return frontier

    def num_open(self) -> Int64[Tensor, " users"]:
        """Prefixes of every user that would be computed to expand the open ones."""
        return self._work(self.open)

    def advance(self, width: int) -> None:
        """Score the children of the `width` best open prefixes of every user, of all depths."""
        if len(self.open.rows) == 0:
            return
        scorer = self._scorer
        chosen, others = self._part_best(self.open, width)
        self.num_scored = self.num_scored + self._work(chosen)
        children = self._promising(scorer.expand_together(chosen))
        is_leaf = scorer.is_result(children.nodes)
        self.leaves = _in_order([self.leaves, children.where(is_leaf)])
        self.open = Prefixes.joined([others, children.where(~is_leaf)])
        self._settle()

    def _beam(self, scorer: BranchingScorer, prefixes: Prefixes, width: int) -> None:
        is_leaf = scorer.is_result(prefixes.nodes)  # a root may be, above a single title
        leaves, pruned = [self.leaves, prefixes.where(is_leaf)], [self.open]
        prefixes = prefixes.where(~is_leaf)
        for depth in range(self.request.catalog.num_levels):
            prefixes, others = self._part_best(prefixes, width)
            pruned.append(others)
            if len(prefixes.rows) == 0:
                break
            self.num_scored = self.num_scored + self._work(prefixes)
            children = scorer.expand(prefixes, depth)
            is_leaf = scorer.is_result(children.nodes)
            leaves.append(children.where(is_leaf))
            prefixes = children.where(~is_leaf)
        self.leaves, self.open = _in_order(leaves), Prefixes.joined(pruned)
        self._settle()

    def results(self, rows: Int64[Tensor, " rows"]) -> SearchResult:
        """The best leaves of some users."""
        found = _of_rows(self.leaves, rows, len(self.users))
        leaves = self.request.catalog.leaf_start[found.nodes].long()
        every = LeavesFound(
            found.rows, leaves, found.log_probs, self.best_dropped[rows], self.num_scored[rows]
        )
        theirs = self.eligibility.of_rows(rows)
        return rank_leaves(every, self.request.top_k, self.request.catalog, theirs)

    def of_rows(self, rows: Int64[Tensor, " rows"]) -> Frontier:
        """What is known and open of some users, in this order."""
        num_rows, eligibility = len(self.users), self.eligibility.of_rows(rows)
        return Frontier(
            self.request,
            self.users[rows],
            self.max_prefixes,
            eligibility,
            None if self.scorer is None else self.scorer.of_rows(rows, eligibility),
            _of_rows(self.open, rows, num_rows),
            _of_rows(self.leaves, rows, num_rows),
            self.floors[rows],
            self.best_dropped[rows],
            self.num_scored[rows],
        )

    def _settle(self) -> None:
        """Raise the floors, close what is below them, and give up what will find no place.

        No more than what is left of `max_prefixes` will ever be scored, and the best first.
        """
        top_k = self.request.top_k
        place = layout(self.leaves.rows, len(self.users))
        if place.num_columns >= top_k:
            scores = place.table(self.leaves.log_probs, -torch.inf)
            self.floors = scores.topk(top_k, dim=1).values[:, -1]
            kept = self.leaves.log_probs >= self.floors[self.leaves.rows]
            self.leaves = self.leaves.where(kept)
        promising = _in_order([self._promising(self.open)])
        self.open, lost = self._part_best(promising, self.max_prefixes)
        best = self.best_dropped.to(lost.log_probs)
        self.best_dropped = best.scatter_reduce(0, lost.rows, lost.log_probs, "amax")

    @property
    def _scorer(self) -> BranchingScorer:
        assert self.scorer is not None, "something is open"
        return self.scorer

    def _part_best(self, prefixes: Prefixes, width: int) -> tuple[Prefixes, Prefixes]:
        """The best of every user, at most `width` and what may yet be computed, and the others."""
        left = self.max_prefixes - self.num_scored
        costs = self._costs(prefixes)
        return part_best(prefixes, left.clamp(max=width), costs, left)

    def _promising(self, prefixes: Prefixes) -> Prefixes:
        """Those that reach the floor, but for rounding."""
        least = self.floors[prefixes.rows] - EXACTNESS_TOLERANCE
        return prefixes.where(prefixes.log_probs >= least)

    def _costs(self, prefixes: Prefixes) -> Int64[Tensor, " prefixes"] | None:
        return self._scorer.costs(prefixes.nodes) if len(prefixes.rows) else None

    def _work(self, prefixes: Prefixes) -> Int64[Tensor, " users"]:
        """Prefixes of every user that expanding these computes."""
        costs, num_users = self._costs(prefixes), len(self.users)
        if costs is None:
            return torch.bincount(prefixes.rows, minlength=num_users)
        return torch.zeros_like(self.users).index_add_(0, prefixes.rows, costs)


def part_best(
    prefixes: Prefixes,
    limits: Int64[Tensor, " rows"],
    costs: Int64[Tensor, " prefixes"] | None = None,
    budgets: Int64[Tensor, " rows"] | None = None,
) -> tuple[Prefixes, Prefixes]:
    """The best prefixes of each row, as many as its limit, and the others; by row and node.

    Args:
        prefixes: By row and node.
        limits: Of each row.
        costs: Of each prefix, where they are not all 1: the best stop before the first with which
            they would cost more than the row's budget.
        budgets: Given with `costs`.
    """
    place = layout(prefixes.rows, len(limits))
    if place.num_columns == 0 or (costs is None and place.num_columns <= int(limits.min())):
        return prefixes, prefixes.where(torch.zeros_like(prefixes.rows, dtype=torch.bool))
    table = place.table(prefixes.log_probs, -torch.inf)
    best = ranked_top_k(table, max(1, int(limits.max())))
    within = torch.arange(best.shape[1], device=best.device) < limits[:, None]
    if costs is not None and budgets is not None:
        spent = place.table(costs, 0).gather(1, best).cumsum(1)
        within = within & (spent <= budgets[:, None])
    is_best = torch.zeros_like(table, dtype=torch.bool).scatter_(1, best, within)
    is_best = is_best[place.rows, place.columns]
    return prefixes.where(is_best), prefixes.where(~is_best)


def _in_order(parts: Sequence[Prefixes]) -> Prefixes:
    """All of the parts, by row and node."""
    whole = Prefixes.joined(parts)
    if len(whole.rows) == 0:
        return whole
    return whole.where((whole.rows * (int(whole.nodes.max()) + 1) + whole.nodes).argsort())


def _of_rows(prefixes: Prefixes, rows: Int64[Tensor, " rows"], num_rows: int) -> Prefixes:
    """Those of some rows, which become rows 0, 1, and so on."""
    new_row = torch.full((num_rows,), -1, device=rows.device)
    new_row[rows] = torch.arange(len(rows), device=rows.device)
    owners = new_row[prefixes.rows]
    places = (owners >= 0).nonzero()[:, 0]
    places = places[owners[places].argsort(stable=True)]
    return replace(prefixes.where(places), rows=owners[places])
