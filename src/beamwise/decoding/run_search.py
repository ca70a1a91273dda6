"""The beam of a search step by step, in about as many calls as its prefixes branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import Prefixes, living
from beamwise.decoding.ranking import unrolled
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import LeavesFound
from beamwise.decoding.runs import RunScorer

NOT_COMPUTED = -1
"""Children of a run that is not computed."""


def beam_along_runs(
    request: SearchRequest,
    users: Int64[Tensor, " users"],
    widths: Sequence[int],
    eligibility: Eligibility,
) -> LeavesFound:
    """The leaves that a beam of these widths reaches; of what `beam_levels` says only work differs.

    A beam chooses at every depth among its prefixes of that depth, and so does this one. But forced
    tokens change no choice, and prefixes that branch at different depths, of one user or several,
    can be computed together. So every user goes on until a choice needs what is not computed; then
    all that live are computed at once, each up to where it branches next.

    Rows of what is found are positions among `users`. Callers choose mode and products, and keep no
    gradient.
    """
    catalog, backbone = request.catalog, request.backbone
    roots = Prefixes.roots(catalog, len(users))
    roots = roots.where(eligibility.below(roots.rows, roots.nodes))
    beam = _Beam(catalog, request.mask, widths, roots, len(users))
    if beam.is_done:
        return beam.found()
    context = backbone.read(backbone.encode_histories(request.histories[users], catalog))
    scorer = RunScorer(backbone, context, catalog, request.mask, eligibility)
    while not beam.is_done:
        rows = beam.rows_left()
        if rows is not None:
            eligibility = eligibility.of_rows(rows)
            scorer = scorer.of_rows(rows, eligibility)
            beam.keep_rows(rows)
        beam.compute(scorer)
        while beam.advance():
            pass
    return beam.found()


@dataclass(frozen=True)
class _Slots:
    """The live prefixes of all users, by row and node, each named by the first of its forced run.

    A prefix that moves along its run keeps its slot.
    """

    prefixes: Prefixes
    scores: Float[Tensor, "slots steps_and_one"]
    """As `Followed.scores`; of a run that is not computed the first, in every column."""
    first_child: Int64[Tensor, " slots"]
    """Place of the first child at the run's end among all children kept."""
    num_children: Int64[Tensor, " slots"]
    """At the run's end; `NOT_COMPUTED` where the run is not computed."""

    @property
    def rows(self) -> Int64[Tensor, " slots"]:
        """The row of each."""
        return self.prefixes.rows

    @property
    def is_computed(self) -> Bool[Tensor, " slots"]:
        """Whether the run of each is."""
        return self.num_children != NOT_COMPUTED


class _Ends(NamedTuple):
    """Where the run of every slot leads."""

    first_depth: Int64[Tensor, " slots"]
    last_depth: Int64[Tensor, " slots"]
    branches: Bool[Tensor, " slots"]
    """Else it ends in a leaf."""


class _Beam:
    """The beams of some users, which may be at different depths."""

    def __init__(
        self, catalog: Catalog, mask: str, widths: Sequence[int], roots: Prefixes, num_users: int
    ) -> None:
        self._catalog = catalog
        self._tokens_cost = mask == "after"
        self._widths = torch.tensor(widths, device=catalog.device)
        self._width = widths[0] if len(set(widths)) == 1 else None
        self._narrows = any(later < width for width, later in pairwise(widths))
        """Whether a choice may come where nothing branches: then no depth is passed over."""
        none = torch.full_like(roots.nodes, NOT_COMPUTED)
        self._slots = _Slots(roots, roots.log_probs[:, None], none, none)
        self._children = roots.where(none[:0])
        self._found: list[Prefixes] = [self._children]
        self._users = torch.arange(num_users, device=catalog.device)
        """The user of every row."""
        self._depth = torch.zeros_like(self._users)
        self._best_dropped = torch.full((num_users,), -torch.inf, device=catalog.device)
        self._num_computed = torch.zeros_like(self._users)

    @property
    def is_done(self) -> bool:
        """Whether nothing lives."""
        return len(self._slots.rows) == 0

    def found(self) -> LeavesFound:
        """All leaves reached, by user."""
        found = Prefixes.joined(self._found)
        leaves = self._catalog.leaf_start[found.nodes].long()
        return LeavesFound(
            found.rows, leaves, found.log_probs, self._best_dropped, self._num_computed
        )

    def rows_left(self) -> Int64[Tensor, " rows"] | None:
        """The rows in which something lives, where they are at most half; None where more are."""
        rows = torch.bincount(self._slots.rows, minlength=len(self._users)).nonzero()[:, 0]
        return rows if 2 * len(rows) <= len(self._users) else None

    def keep_rows(self, rows: Int64[Tensor, " rows"]) -> None:
        """Number these rows 0, 1, and so on, and give up the others."""
        new_row = torch.empty_like(self._users)
        new_row[rows] = torch.arange(len(rows), device=rows.device)
        prefixes = replace(self._slots.prefixes, rows=new_row[self._slots.rows])
        self._slots = replace(self._slots, prefixes=prefixes)
        self._users, self._depth = self._users[rows], self._depth[rows]

    def compute(self, scorer: RunScorer) -> None:
        """Compute all runs at whose end a choice waits; where tokens cost, every run."""
        slots, num_children = self._slots, self._slots.num_children.clone()
        old = slots.is_computed.nonzero()[:, 0]
        new = (~slots.is_computed & (self._ends().branches | self._tokens_cost)).nonzero()[:, 0]
        if len(new) == 0:
            return
        owner, within = unrolled(num_children[old])
        places = slots.first_child[old][owner] + within  # those of others have had their turn
        prefixes = slots.prefixes.where(new)
        costs = scorer.costs(prefixes.nodes)
        self._num_computed.index_add_(0, self._users[prefixes.rows], costs)
        children, owner, scores = scorer.follow(prefixes)
        self._children = Prefixes.joined([self._children.where(places), children])
        num_children[new] = torch.bincount(owner, minlength=len(new))
        order = torch.cat([old, new])  # in which their children stand
        counts = num_children[order]
        first_child = slots.first_child.index_copy(0, order, counts.cumsum(0) - counts)
        scores = _with_rows(slots.scores, new, scores)
        self._slots = _Slots(slots.prefixes, scores, first_child, num_children)

    def advance(self) -> bool:
        """Take every user past the next depth at which something branches, or no one if all wait.

        A user waits where a run is not computed whose children, or whose score, the choice needs.
        """
        slots, ends = self._slots, self._ends()
        at = self._depth if self._narrows else self._next_branching(ends)
        forks = ends.branches & (ends.last_depth == at[slots.rows])
        waits = torch.zeros_like(self._depth, dtype=torch.bool)
        waits[slots.rows[~slots.is_computed & (forks | self._tokens_cost)]] = True
        moves = ~waits[slots.rows]
        if not bool(moves.any()):
            return False
        deepest = self._catalog.num_levels
        self._depth = torch.where(waits, self._depth, (at + 1).clamp(max=deepest))
        self._step(ends, forks & moves)
        return True

    def _step(self, ends: _Ends, forks: Bool[Tensor, " slots"]) -> None:
        """Put the children of what branched in its place, take out leaves, and choose."""
        slots = self._slots
        owner, within = unrolled(torch.where(forks, slots.num_children, 1))
        is_child = forks[owner]
        children = self._children.where((slots.first_child[owner] + within)[is_child])
        places = torch.where(is_child, is_child.cumsum(0) - 1 + len(slots.rows), owner)
        prefixes = Prefixes.joined([slots.prefixes, children]).where(places)
        prefixes = replace(prefixes, rows=slots.rows[owner])
        depth = self._depth[slots.rows]
        now = torch.where(is_child, prefixes.log_probs, self._scores_at(depth, ends)[owner])
        is_over = (~ends.branches & (ends.last_depth <= depth))[owner]
        is_over = torch.where(is_child, self._catalog.is_leaf(prefixes.nodes), is_over)
        self._end(replace(prefixes, log_probs=now).where(is_over & (now > -torch.inf)))
        left = (~is_over & (now > -torch.inf)).nonzero()[:, 0]
        left = self._choose(prefixes.rows, now, left)
        owner, is_child = owner[left], is_child[left]
        self._slots = _Slots(
            prefixes.where(left),
            torch.where(is_child[:, None], now[left, None], slots.scores[owner]),
            slots.first_child[owner],
            slots.num_children[owner].masked_fill(is_child, NOT_COMPUTED),
        )

    def _end(self, leaves: Prefixes) -> None:
        self._found.append(replace(leaves, rows=self._users[leaves.rows]))

    def _choose(
        self,
        rows: Int64[Tensor, " prefixes"],
        log_probs: Float[Tensor, " prefixes"],
        left: Int64[Tensor, " left"],
    ) -> Int64[Tensor, " kept"]:
        """Of the prefixes left, those that find a place in the beam of their depth."""
        widths = self._widths[self._depth - 1] if self._width is None else self._width
        lives, dropped = living(rows[left], log_probs[left], len(self._users), widths)
        if lives is None:
            return left
        best = self._best_dropped.to(dropped)
        best[self._users] = torch.maximum(best[self._users], dropped)
        self._best_dropped = best
        return left[lives]

    def _ends(self) -> _Ends:
        catalog, nodes = self._catalog, self._slots.prefixes.nodes
        stops = catalog.run_stop[nodes].long()
        return _Ends(catalog.depth_of(nodes), catalog.depth_of(stops), ~catalog.is_leaf(stops))

    def _next_branching(self, ends: _Ends) -> Int64[Tensor, " rows"]:
        """The depth at which something of a row branches next; the deepest where nothing does."""
        deepest = torch.full_like(self._depth, self._catalog.num_levels)
        rows, depths = self._slots.rows[ends.branches], ends.last_depth[ends.branches]
        return deepest.scatter_reduce(0, rows, depths, "amin")

    def _scores_at(self, depth: Int64[Tensor, " slots"], ends: _Ends) -> Float[Tensor, " slots"]:
        """Log-probability of every slot's prefix of so many tokens, or of its leaf above that."""
        scores = self._slots.scores
        steps = torch.minimum(depth, ends.last_depth) - ends.first_depth
        return scores.gather(1, steps.clamp(max=scores.shape[1] - 1)[:, None])[:, 0]


def _with_rows(
    table: Float[Tensor, "rows columns"],
    rows: Int64[Tensor, " some"],
    values: Float[Tensor, "some others"],
) -> Float[Tensor, "rows widest"]:
    """The table with some rows replaced; what is narrower goes on with its last column."""
    missing = values.shape[1] - table.shape[1]
    table = table.to(torch.promote_types(table.dtype, values.dtype))
    table = torch.cat([table, table[:, -1:].expand(-1, max(0, missing))], dim=1)
    values = torch.cat([values, values[:, -1:].expand(-1, max(0, -missing))], dim=1)
    return table.index_copy(0, rows, values.to(table.dtype))
