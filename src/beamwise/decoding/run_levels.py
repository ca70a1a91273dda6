"""Level by level, what is computed by forced runs: for those who ask what lives at every depth."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Context
from beamwise.decoding.branches import BranchingScorer
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import Prefixes
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.runs import RunScorer, follows_runs


class LevelRunScorer(RunScorer):
    """Gives the children of one depth after the other, and computes forced runs ahead.

    The model is asked where a live prefix needs what is not computed: the children of one that
    branches, and where tokens cost every other one's too. Then the runs of all that live are
    computed at once. Between such calls a level is a look-up.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._waiting: Prefixes | None = None
        """The firsts of the runs that are not computed, by row."""
        self._ready: Prefixes | None = None
        """What lies on computed runs and below their ends, and was not asked for."""

    def expand(
        self,
        prefixes: Prefixes,
        depth: int | Int64[Tensor, " prefixes"],  # noqa: ARG002
    ) -> Prefixes:
        """As `PrefixScorer.expand`: all children of prefixes of one depth, by row and node.

        Asked of one depth after the other, the first time for roots, and always for some of what it
        gave the last time. Of the children only rows, tokens, nodes and scores mean anything.
        """
        stops = self._catalog.run_stop[prefixes.nodes].long()
        is_end = stops == prefixes.nodes
        tokens_cost = self._mask == "after"
        self._compute(prefixes, stops, is_end | tokens_cost)
        parts = [self._children_of(prefixes.where(is_end | tokens_cost))]
        if not tokens_cost:
            parts.append(self._forced(prefixes.where(~is_end)))
        children = Prefixes.joined(parts)
        return children.where(self._key(children.rows, children.nodes).argsort())

    def _compute(
        self,
        prefixes: Prefixes,
        stops: Int64[Tensor, " prefixes"],
        needs: Bool[Tensor, " prefixes"],
    ) -> None:
        """Compute the runs of all that live, if one that needs its children is not computed."""
        waiting = prefixes if self._waiting is None else self._waiting
        waiting = waiting.where(~self.is_result(waiting.nodes))
        runs = self._run(waiting.rows, waiting.nodes)
        live = self._key(prefixes.rows, stops)
        is_due = torch.isin(runs, live)
        self._waiting = waiting
        if not bool(torch.isin(runs[is_due], live[needs]).any()):
            return
        due = waiting.where(is_due)
        children, _, scores = self.follow(due)
        found = [children]
        if self._mask == "after":
            passed = self._passed(due, scores)
            found.append(passed.where(~self._catalog.is_leaf(passed.nodes)))  # a child if leaf
        if self._ready is not None:
            found.append(self._below(live, self._ready))
        self._ready = Prefixes.joined(found)
        later = Prefixes.joined([self._below(live, waiting.where(~is_due)), children])
        self._waiting = later.where(later.rows.argsort(stable=True))

    def _below(self, live: Int64[Tensor, " live"], prefixes: Prefixes) -> Prefixes:
        """What lies on a live run, or at its end branches off."""
        runs = self._run(prefixes.rows, self._upper(prefixes.nodes))
        return prefixes.where(torch.isin(runs, live))

    def _children_of(self, prefixes: Prefixes) -> Prefixes:
        """Those of prefixes whose children are all ready and possible."""
        if self._ready is None:
            return prefixes.where(prefixes.nodes[:0])
        upper = self._key(self._ready.rows, self._upper(self._ready.nodes))
        is_child = torch.isin(upper, self._key(prefixes.rows, prefixes.nodes))
        children = self._ready.where(is_child)
        return children.where(children.log_probs > -torch.inf)

    def _forced(self, prefixes: Prefixes) -> Prefixes:
        """The only child of each, which is certain."""
        edges = self._catalog.child_start[prefixes.nodes].long()
        tokens = self._catalog.child_token[edges].long()
        return Prefixes(prefixes.rows, prefixes.parents, tokens, edges + 1, prefixes.log_probs)

    def _upper(self, nodes: Int64[Tensor, " nodes"]) -> Int64[Tensor, " nodes"]:
        """The node above each of these, none the root."""
        catalog = self._catalog
        column = catalog.depth_of(nodes) - 2
        leaf = catalog.leaf_start[nodes].long()
        above = catalog.leaf_nodes[leaf, column.clamp(min=0)].long()
        return above.masked_fill(column < 0, 0)

    def _run(
        self, rows: Int64[Tensor, " prefixes"], nodes: Int64[Tensor, " prefixes"]
    ) -> Int64[Tensor, " prefixes"]:
        """A number for the run that each is on."""
        return self._key(rows, self._catalog.run_stop[nodes].long())

    def _key(
        self, rows: Int64[Tensor, " prefixes"], nodes: Int64[Tensor, " prefixes"]
    ) -> Int64[Tensor, " prefixes"]:
        return rows * self._catalog.num_nodes + nodes


def level_scorer(
    request: SearchRequest, context: Context, eligibility: Eligibility
) -> BranchingScorer:
    """A scorer for searches level by level, of the users whose histories were read."""
    kind = LevelRunScorer if follows_runs(request.catalog) else BranchingScorer
    return kind(request.backbone, context, request.catalog, request.mask, eligibility)
