"""One level of a search: score the children of the live prefixes, then keep the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise._segments import segment_logsumexp
from beamwise.backbones.base import START_TOKEN, Backbone, Context, PrefixNodes
from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.ranking import Layout, layout, ranked_top_k, stable_top_k

LOGITS_AT_ONCE = 2**22
"""Logits held at a time, 16 MiB of fp32: bounds memory where beams or vocabularies are large."""


@dataclass(frozen=True)
class Prefixes:
    """Prefixes of many users, one after the other: by row and, within a row, by node."""

    rows: Int64[Tensor, " prefixes"]
    parents: Int64[Tensor, " prefixes"]
    """Column of the parent among the nodes that the backbone knows; -1 for a root."""
    tokens: Int64[Tensor, " prefixes"]
    nodes: Int64[Tensor, " prefixes"]
    log_probs: Float[Tensor, " prefixes"]

    def where(self, chosen: Bool[Tensor, " prefixes"] | Int64[Tensor, " chosen"]) -> Prefixes:
        """Those chosen: by a mask in the same order, by their positions in the order of these."""
        return Prefixes(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Prefixes]) -> Prefixes:
        """All of the parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        columns = [[getattr(part, field.name) for part in parts] for field in fields(cls)]
        return cls(*(torch.cat(column) for column in columns))

    @classmethod
    def roots(cls, catalog: Catalog, num_rows: int) -> Prefixes:
        """The empty prefix of every row."""
        rows = torch.arange(num_rows, device=catalog.device)
        nodes = torch.zeros_like(rows)
        certain = torch.zeros(num_rows, device=catalog.device)
        return cls(rows, nodes - 1, nodes + START_TOKEN, nodes, certain)


class Pruned(NamedTuple):
    """The prefixes that live on, and the best of those that do not."""

    kept: Prefixes
    best_dropped: Float[Tensor, " rows"]
    """Log-probability of the best prefix dropped from each row, -inf where none was."""


class Steps(NamedTuple):
    """The edges below some nodes, in the order of the nodes, and what each costs."""

    owner: Int64[Tensor, " edges"]
    """Position, among the nodes, of the edge's upper end."""
    tokens: Int64[Tensor, " edges"]
    nodes: Int64[Tensor, " edges"]
    log_probs: Float[Tensor, " edges"]
    """Of the edge's token after its upper end."""

    @classmethod
    def joined(cls, parts: Sequence[Steps], sizes: Sequence[int]) -> Steps:
        """The edges below nodes that stand in parts of these sizes."""
        if len(parts) == 1:
            return parts[0]
        shifts = [sum(sizes[:number]) for number in range(len(sizes))]
        owner = [part.owner + shift for part, shift in zip(parts, shifts, strict=True)]
        rest = (torch.cat(column) for column in zip(*(part[1:] for part in parts), strict=True))
        return cls(torch.cat(owner), *rest)


def keep_best(prefixes: Prefixes, num_rows: int, beam_width: int) -> Pruned:
    """Keep the `beam_width` best prefixes of each row: by log-probability, then by node."""
    lives, best_dropped = living(prefixes.rows, prefixes.log_probs, num_rows, beam_width)
    return Pruned(prefixes if lives is None else prefixes.where(lives), best_dropped)


def living(
    rows: Int64[Tensor, " prefixes"],
    log_probs: Float[Tensor, " prefixes"],
    num_rows: int,
    widths: int | Int64[Tensor, " rows"],
) -> tuple[Bool[Tensor, " prefixes"] | None, Float[Tensor, " rows"]]:
    """Which prefixes are among the best of their row, of equal ones the first.

    Args:
        rows: Ascending.
        log_probs: Of each prefix.
        num_rows: Rows, those without a prefix included.
        widths: Prefixes that live on, >= 1; one number, or one a row.

    Returns:
        The prefixes that live on, None where all do, and the best of each row that does not, -inf
        where all do.
    """
    none = log_probs.new_full((num_rows,), -torch.inf)
    if len(rows) == 0:
        return None, none
    place = layout(rows, num_rows)
    least = widths if isinstance(widths, int) else int(widths.min())
    if place.num_columns <= least:
        return None, none
    table = place.table(log_probs, -torch.inf)
    lives = torch.zeros_like(table, dtype=torch.bool)
    if isinstance(widths, int):
        lives.scatter_(1, stable_top_k(table, widths), True)
    else:
        best = ranked_top_k(table, int(widths.max()))
        within = torch.arange(best.shape[1], device=best.device) < widths[:, None]
        lives.scatter_(1, best, within)
    best_dropped = table.masked_fill(lives, -torch.inf).amax(dim=1)
    return lives[place.rows, place.columns], best_dropped


class PrefixScorer:
    """Scores prefixes of one batch of users on top of what the backbone has already computed."""

    def __init__(
        self,
        backbone: Backbone,
        context: Context,
        catalog: Catalog,
        mask: str,
        eligibility: Eligibility,
    ) -> None:
        self._backbone = backbone
        self._context = context
        self._catalog = catalog
        self._mask = mask
        self._eligibility = eligibility
        self._cache: Any = None
        self._num_known = 0

    def expand(self, prefixes: Prefixes, depth: int | Int64[Tensor, " prefixes"]) -> Prefixes:
        """The children of `prefixes` that have something eligible below, with their scores.

        Args:
            prefixes: None a leaf; their parents were expanded before.
            depth: Tokens of all of them, or of each, >= 1 then.

        Raises:
            ValueError: If the backbone gives logits that are no distribution.
        """
        is_one = isinstance(depth, int)
        depths = torch.full_like(prefixes.nodes, depth) if is_one else depth
        deepest = depth if is_one else self._catalog.num_levels - 1
        place = layout(prefixes.rows, len(self._context.lengths))
        known = self._num_known + place.columns
        hidden = self._extend(place, prefixes.tokens, prefixes.parents, depths, deepest)
        steps = self._steps(prefixes.nodes, hidden)
        upper = steps.owner
        log_probs = prefixes.log_probs[upper] + steps.log_probs
        rows = prefixes.rows[upper]
        children = Prefixes(rows, known[upper], steps.tokens, steps.nodes, log_probs)
        return children.where(self._possible(children))

    def _extend(
        self,
        place: Layout,
        tokens: Int64[Tensor, " new"],
        parents: Int64[Tensor, " new"],
        depths: Int64[Tensor, " new"],
        deepest: int,
    ) -> Float[Tensor, "new dim"]:
        """Compute new nodes, none deeper than `deepest`, in their places after those known."""
        lengths = self._context.lengths[place.rows]
        nodes = PrefixNodes(
            tokens=place.table(tokens, -1),
            parents=place.table(parents, -1),
            depth=place.table(depths, -1),
            context_length=place.table(lengths, -1),
            first_of_depth=(0,) * (deepest + 1),
        )
        hidden, self._cache = self._backbone.extend(self._context, nodes, self._cache)
        self._num_known += place.num_columns
        return hidden[place.rows, place.columns]

    def _possible(self, children: Prefixes) -> Bool[Tensor, " children"]:
        """Which have a probability above zero, and something eligible below."""
        possible = children.log_probs > -torch.inf
        if self._eligibility.is_everything:
            return possible
        return possible & self._eligibility.below(children.rows, children.nodes)

    def _steps(self, nodes: Int64[Tensor, " nodes"], hidden: Float[Tensor, "nodes dim"]) -> Steps:
        """The edges below nodes of these hidden states, a block of logits at a time."""
        at_once = max(1, LOGITS_AT_ONCE // self._backbone.vocab_size)
        blocks = list(zip(nodes.split(at_once), hidden.split(at_once), strict=True))
        return Steps.joined([self._block(*block) for block in blocks], [len(n) for n, _ in blocks])

    def _block(self, parents: Int64[Tensor, " some"], hidden: Float[Tensor, "some dim"]) -> Steps:
        owner, tokens, nodes = self._catalog.children(parents)
        if self._catalog.unseen is None:
            step = self._log_probs(hidden, owner, tokens)
        else:
            is_new = self._catalog.unseen[nodes - 1]
            step = self._log_probs(hidden, owner, tokens, is_new)
            step = self._shared_with_new(step, is_new, owner, parents[owner], nodes)
        return Steps(owner, tokens, nodes, step)

    def _shared_with_new(
        self,
        step: Float[Tensor, " edges"],
        is_new: Bool[Tensor, " edges"],
        owner: Int64[Tensor, " edges"],
        parents: Int64[Tensor, " edges"],
        nodes: Int64[Tensor, " edges"],
    ) -> Float[Tensor, " edges"]:
        """Log-probabilities of steps of which the model never saw some.

        A new step has the share of the items below its upper end that are below its lower end; the
        others have what the model says, times the share that new steps leave.
        """
        below, above = (self._catalog.num_items_below(ends).to(step) for ends in (nodes, parents))
        share = below / above
        known = torch.zeros(int(owner[-1]) + 1 if len(owner) else 0).to(step)
        known = known.index_add(0, owner, share.masked_fill(is_new, 0))
        return torch.where(is_new, share.log(), step + known[owner].log())

    def _log_probs(
        self,
        hidden: Float[Tensor, "prefixes dim"],
        owner: Int64[Tensor, " edges"],
        tokens: Int64[Tensor, " edges"],
        is_new: Bool[Tensor, " edges"] | None = None,
    ) -> Float[Tensor, " edges"]:
        """Log-probability of each token after its owner, over the vocabulary or the legal tokens.

        Only the normaliser and the children are formed, never a full log-softmax. Legal tokens that
        are `is_new` to the model do not count beside others.
        """
        if self._mask == "before":
            scored, column = tokens.unique(return_inverse=True)
            of_edges = _at_least_fp32(self._backbone.logits(hidden, scored))[owner, column]
            counted = of_edges if is_new is None else _without(of_edges, is_new, owner)
            normalizer = segment_logsumexp(counted, torch.bincount(owner, minlength=len(hidden)))
        else:
            logits = _at_least_fp32(self._backbone.logits(hidden))
            of_edges, normalizer = logits[owner, tokens], logits.logsumexp(dim=1)
        if not normalizer.isfinite().all():
            raise ValueError(
                "the backbone gave NaN or infinite logits: check its weights and its precision"
            )
        return of_edges - normalizer[owner]


def _without(
    values: Float[Tensor, " edges"], is_new: Bool[Tensor, " edges"], owner: Int64[Tensor, " edges"]
) -> Float[Tensor, " edges"]:
    """The values, -inf where new, unless an owner has nothing else."""
    num_known = torch.zeros(int(owner[-1]) + 1 if len(owner) else 0, device=owner.device)
    num_known = num_known.index_add(0, owner, (~is_new).float())
    return values.masked_fill(is_new & (num_known[owner] > 0), -torch.inf)


def _at_least_fp32(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
