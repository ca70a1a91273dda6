"""Scores prefixes along runs of forced tokens: a run is one step, computed whole or not at all."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.backbones.base import START_TOKEN, Context
from beamwise.catalog import Catalog
from beamwise.decoding.branches import BranchingScorer
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.levels import Prefixes, Steps
from beamwise.decoding.ranking import layout, unrolled
from beamwise.decoding.request import SearchRequest

FEWEST_LEVELS = 8
"""Levels from which a tree may be searched along its runs: more than semantic IDs have, whose few
levels are scored step by step at one call each."""
TOKENS_A_BRANCHING = 2.0
"""Tokens of a path for each of them that has an alternative, on average, from which runs pay: then
at most half the calls are left. Toy and Office titles have 3 to 6."""


def follows_runs(catalog: Catalog) -> bool:
    """Whether searches take the forced runs of a tree at once; changes no result, only the work.

    The shape of the tree alone decides: titles do, semantic IDs do not.
    """
    if catalog.num_levels < FEWEST_LEVELS:
        return False
    shape = catalog.path_shape
    return shape.mean_tokens >= TOKENS_A_BRANCHING * shape.mean_branchings


def num_prefixes_scored(catalog: Catalog, mask: str) -> int:
    """Prefixes that a model computes to score the whole tree for one user.

    All but the items; with the mask before the softmax, of titles not those that are decided.
    """
    if mask == "before" and follows_runs(catalog):
        return int((~catalog.is_leaf(catalog.run_stop.long())).sum())
    return catalog.num_nodes - catalog.num_leaves


def scorer_of(
    request: SearchRequest, context: Context, eligibility: Eligibility
) -> BranchingScorer:
    """A scorer for the shape of the request's catalog, of the users whose histories were read."""
    kind = RunScorer if follows_runs(request.catalog) else BranchingScorer
    return kind(request.backbone, context, request.catalog, request.mask, eligibility)


class Followed(NamedTuple):
    """What was scored along the forced runs below some prefixes."""

    children: Prefixes
    """Below the runs' ends, by run, then node. Where a run ends in a leaf, that leaf."""
    owner: Int64[Tensor, " children"]
    """Position, among the prefixes, of the one below which each child is."""
    scores: Float[Tensor, "prefixes steps_and_one"]
    """Log-probability of each prefix, and after each of the forced tokens below it. A run that is
    over holds its last. One column where forced tokens are certain."""


class _Runs(NamedTuple):
    """The prefixes to compute, from the first of each run to its end, one run after the other."""

    owner: Int64[Tensor, " computed"]
    step: Int64[Tensor, " computed"]
    """Tokens below the first of its run."""
    depth: Int64[Tensor, " computed"]
    nodes: Int64[Tensor, " computed"]
    tokens: Int64[Tensor, " computed"]
    is_end: Bool[Tensor, " computed"]
    """The last to compute of its run: it branches, or only a leaf follows."""


class RunScorer(BranchingScorer):
    """Scores prefixes by forced runs, each named by its first: the child of one that branches.

    A run goes on until the tree branches or a leaf is reached. It is computed in one call, in which
    each prefix is the parent of the next. With the mask before the softmax forced tokens are
    certain, so a run that ends in a leaf is a result as it stands, and never computed. With the
    mask after it they have their price, and such a run is computed up to its leaf.
    """

    def of_rows(self, rows: Int64[Tensor, " rows"], eligibility: Eligibility) -> RunScorer:
        """As `BranchingScorer.of_rows`."""
        some = super().of_rows(rows, eligibility)
        assert isinstance(some, RunScorer), "a copy is of the same kind"
        return some

    def expand(
        self,
        prefixes: Prefixes,
        depth: int | Int64[Tensor, " prefixes"],  # noqa: ARG002
    ) -> Prefixes:
        """As `BranchingScorer.expand`, the children being those at the ends of the runs."""
        return self.follow(prefixes).children

    def expand_together(self, prefixes: Prefixes) -> Prefixes:
        """The same: runs are of all depths as they are."""
        return self.follow(prefixes).children

    def expand_wholly(self, prefixes: Prefixes, depth: int) -> tuple[Prefixes, Prefixes]:  # noqa: ARG002
        """As `expand`, and all prefixes on the runs below these, and below children in results."""
        children, _, scores = self.follow(prefixes)
        passed = [self._passed(prefixes, scores), self.below_results(children)]
        return children, Prefixes.joined(passed)

    def below_results(self, prefixes: Prefixes) -> Prefixes:
        """What lies on the runs below those that are results; their leaves are certain."""
        results = prefixes.where(self.is_result(prefixes.nodes))
        return self._passed(results, results.log_probs[:, None])

    def is_result(self, nodes: Int64[Tensor, " nodes"]) -> Bool[Tensor, " nodes"]:
        """Which are leaves, or as certain as the leaf that alone is below them."""
        ends = self._catalog.run_stop[nodes].long() if self._mask == "before" else nodes
        return self._catalog.is_leaf(ends)

    def costs(self, nodes: Int64[Tensor, " nodes"]) -> Int64[Tensor, " nodes"]:
        """Prefixes that are computed of the run that begins at each node."""
        catalog = self._catalog
        stops = catalog.run_stop[nodes].long()
        counts = catalog.depth_of(stops) - catalog.depth_of(nodes) + 1
        return counts - catalog.is_leaf(stops).long()

    def follow(self, prefixes: Prefixes) -> Followed:
        """Compute the runs that begin at `prefixes`, and score what follows.

        Args:
            prefixes: None a result; by row. What they branched off was followed before.

        Raises:
            ValueError: If the backbone gives logits that are no distribution.
        """
        runs = self._runs(prefixes.nodes)
        place = layout(prefixes.rows[runs.owner], len(self._context.lengths))
        known = self._num_known + place.columns
        parents = torch.where(runs.step == 0, prefixes.parents[runs.owner], known - 1)
        deepest = int(runs.depth.max())
        hidden = self._extend(place, runs.tokens, parents, runs.depth, deepest)
        if self._mask == "before":
            hidden, known = hidden[runs.is_end], known[runs.is_end]
            runs = _Runs(*(column[runs.is_end] for column in runs))
        steps = self._steps(runs.nodes, hidden)
        scores, forced = self._scores(prefixes, runs, steps)
        last = runs.is_end[steps.owner].nonzero()[:, 0]
        upper = steps.owner[last]
        owner = runs.owner[upper]
        step = steps.log_probs[last].masked_fill(forced[last], 0.0)
        children = Prefixes(
            prefixes.rows[owner],
            known[upper],
            steps.tokens[last],
            steps.nodes[last],
            scores[owner, -1] + step,
        )
        possible = self._possible(children)
        return Followed(children.where(possible), owner[possible], scores)

    def _passed(
        self, prefixes: Prefixes, scores: Float[Tensor, "prefixes steps_and_one"]
    ) -> Prefixes:
        """What is below each prefix on its run, the end included; its parents are not told."""
        catalog = self._catalog
        first = catalog.depth_of(prefixes.nodes)
        stops = catalog.run_stop[prefixes.nodes].long()
        owner, step = unrolled(catalog.depth_of(stops) - first)
        leaf, column = catalog.leaf_start[prefixes.nodes].long()[owner], first[owner] + step
        nodes, tokens = (
            paths[leaf, column].long() for paths in (catalog.leaf_nodes, catalog.leaf_tokens)
        )
        log_probs = scores[owner, (step + 1).clamp(max=scores.shape[1] - 1)]
        return Prefixes(prefixes.rows[owner], nodes * 0 - 1, tokens, nodes, log_probs)

    def _runs(self, first: Int64[Tensor, " prefixes"]) -> _Runs:
        catalog = self._catalog
        counts = self.costs(first)
        owner, step = unrolled(counts)
        depth = catalog.depth_of(first)[owner] + step
        leaf, column = catalog.leaf_start[first].long()[owner], (depth - 1).clamp(min=0)
        nodes, tokens = (
            paths[leaf, column].long() for paths in (catalog.leaf_nodes, catalog.leaf_tokens)
        )
        is_root = depth == 0
        nodes, tokens = nodes.masked_fill(is_root, 0), tokens.masked_fill(is_root, START_TOKEN)
        return _Runs(owner, step, depth, nodes, tokens, step == counts[owner] - 1)

    def _scores(
        self, prefixes: Prefixes, runs: _Runs, steps: Steps
    ) -> tuple[Float[Tensor, "prefixes steps_and_one"], Bool[Tensor, " edges"]]:
        """The scores along every run, and which edges are forced.

        Added up one token after the other, so that sums are those of a search step by step.
        """
        forced = (self._catalog.num_children(runs.nodes) == 1)[steps.owner]
        upper = steps.owner[forced]
        longest = int(runs.step[upper].max()) + 1 if len(upper) else 0
        price = steps.log_probs.new_zeros(len(prefixes.rows), longest)
        price[runs.owner[upper], runs.step[upper]] = steps.log_probs[forced]
        scores = [prefixes.log_probs.to(torch.promote_types(prefixes.log_probs.dtype, price.dtype))]
        for each in price.unbind(1):
            scores.append(scores[-1] + each)
        return torch.stack(scores, dim=1), forced
