"""The legal tokens along targets' paths: where each stands, and how only theirs are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.catalog import Catalog, Children
from beamwise.scoring.candidate_tree import CandidateTree
from beamwise.sequences.prefix_levels import Steps

SMALL_VOCABULARY = 4096
"""Tokens up to which one product with the weights of all costs less than to look up those of some:
on a CPU, where every new size of a product costs as much as 10^7 multiply-adds."""
MANY_CHILDREN, MANY_LOGITS = 128, 4096
"""Legal tokens of a catalog node, and these times the targets that pass it, from which it has a
product of its own for all of them."""
STEPS_AT_ONCE = 256
"""Steps at other nodes whose legal tokens are scored in one product, which is the number of steps
times that of their tokens together; in the order of their nodes, so that these are few."""


@dataclass(frozen=True)
class LegalTokens:
    """The tokens that may stand at every step of the targets' paths; see `LegalLogits`."""

    tokens: Int64[Tensor, " total"]
    places: Int64[Tensor, " total"]
    """The node whose hidden state predicts each, as in `CandidateTree.places`."""
    step: Int64[Tensor, " total"]
    counts: Int64[Tensor, "targets levels"]
    target_place: Int64[Tensor, "targets levels"]

    @classmethod
    def of(
        cls, catalog: Catalog, leaves: Int64[Tensor, " targets"], tree: CandidateTree
    ) -> LegalTokens:
        """The legal tokens along the paths of the targets' leaves."""
        steps = Steps.of(catalog, leaves)
        laid = _Layout.of(steps)
        edges = catalog.child_start[steps.upper].long().flatten()[laid.step] + laid.within
        tokens = catalog.child_token[edges].long()
        places = tree.places[:, 0].flatten()[laid.step]
        return cls(tokens, places, laid.step, steps.num_children, laid.target_place)


@dataclass(frozen=True)
class LegalProducts:
    """The same where no other logits are wanted: the products that give theirs and few besides.

    Steps at which several tokens are legal are put into blocks, each a product of some hidden
    states and some tokens' weights. Targets that pass a node with many children, as all pass the
    first, share a block in which nothing is in vain. A small vocabulary is one block.
    """

    nodes: Int64[Tensor, " steps"]
    """Block by block, the hidden state that predicts each step, as row * columns + column."""
    tokens: Int64[Tensor, " scored"] | None
    """Block by block, what is scored after each of the block's steps; None for all tokens."""
    blocks: tuple[tuple[int, int], ...]
    """Steps and tokens of each."""
    source: Int64[Tensor, " total"]
    """Where each legal logit stands among all products end to end; behind them if it is forced."""
    step: Int64[Tensor, " total"]
    counts: Int64[Tensor, "targets levels"]
    target_place: Int64[Tensor, "targets levels"]

    @classmethod
    def of(
        cls, catalog: Catalog, leaves: Int64[Tensor, " targets"], tree: CandidateTree
    ) -> LegalProducts:
        """What scores the legal tokens along the paths of the targets' leaves."""
        steps = Steps.of(catalog, leaves)
        laid = _Layout.of(steps)
        several = steps.branching.flatten().nonzero()[:, 0]
        is_small = catalog.vocab_size <= SMALL_VOCABULARY
        passed = _Passed.of(catalog, steps.upper.flatten()[several], in_one_block=is_small)
        children = catalog.children(passed.nodes)
        num_blocks = int(passed.block[-1]) + 1 if len(several) else 0
        if is_small:
            tokens, column = None, children.tokens
            num_tokens = torch.full((num_blocks,), catalog.vocab_size)
        else:
            tokens, column, num_tokens = _columns(children, passed, catalog.vocab_size, num_blocks)
        block_of_step = passed.block[passed.which]
        order = block_of_step.argsort(stable=True)
        num_steps = torch.bincount(block_of_step, minlength=num_blocks)
        begins = (num_steps * num_tokens).cumsum(0) - num_steps * num_tokens
        row = torch.empty_like(order)
        row[order] = torch.arange(len(order))
        row = row - (num_steps.cumsum(0) - num_steps)[block_of_step]
        begins_row = begins[block_of_step] + row * num_tokens[block_of_step]
        source = laid.sources(several, begins_row, passed.first_edge[passed.which], column)
        places = tree.used[tree.places[:, 0].flatten()[several[order]]]
        return cls(
            nodes=places,
            tokens=tokens,
            blocks=tuple(zip(num_steps.tolist(), num_tokens.tolist(), strict=True)),
            source=source.where(source >= 0, int((num_steps * num_tokens).sum())),
            step=laid.step,
            counts=steps.num_children,
            target_place=laid.target_place,
        )


def _columns(
    children: Children, passed: _Passed, vocab_size: int, num_blocks: int
) -> tuple[Int64[Tensor, " scored"], Int64[Tensor, " edges"], Int64[Tensor, " blocks"]]:
    """The distinct tokens of each block end to end, the column of every edge, their numbers."""
    block = passed.block[children.owner]
    keys, column = (block * vocab_size + children.tokens).unique(return_inverse=True)
    num_tokens = torch.bincount(keys // vocab_size, minlength=num_blocks)
    first = num_tokens.cumsum(0) - num_tokens
    return keys % vocab_size, column - first[block], num_tokens


class _Layout(NamedTuple):
    """How the legal tokens of all steps lie end to end."""

    step: Int64[Tensor, " total"]
    within: Int64[Tensor, " total"]
    """Number of each among those of its step."""
    target_place: Int64[Tensor, "targets levels"]

    @classmethod
    def of(cls, steps: Steps) -> _Layout:
        counts = steps.num_children.flatten()
        starts = counts.cumsum(0) - counts
        step = torch.repeat_interleave(counts)
        within = torch.arange(len(step)) - starts[step]
        own = starts.view_as(steps.own) + steps.own
        return cls(step, within, own.where(steps.num_children > 0, 0))

    def sources(
        self,
        several: Int64[Tensor, " steps"],
        begins: Int64[Tensor, " steps"],
        first_edge: Int64[Tensor, " steps"],
        column: Int64[Tensor, " edges"],
    ) -> Int64[Tensor, " total"]:
        """Where each stands: its step's row begins somewhere and its edge has a column; -1 if not.

        Args:
            several: The steps that have a row.
            begins: Where it begins.
            first_edge: The step's first among the edges.
            column: Of each edge.
        """
        num_steps = self.target_place.numel()
        row = torch.full((num_steps,), -1).index_copy(0, several, begins)
        edge = torch.zeros(num_steps, dtype=torch.int64).index_copy(0, several, first_edge)
        rows = row[self.step]
        if len(several) == 0:
            return rows
        edges = (edge[self.step] + self.within).where(rows >= 0, 0)
        return (rows + column[edges]).where(rows >= 0, -1)


class _Passed(NamedTuple):
    """The distinct catalog nodes that steps pass, those of one block side by side."""

    nodes: Int64[Tensor, " distinct"]
    block: Int64[Tensor, " distinct"]
    """Ascending from 0."""
    first_edge: Int64[Tensor, " distinct"]
    """Of each among the edges of all, end to end."""
    which: Int64[Tensor, " steps"]
    """The node of every step."""

    @classmethod
    def of(cls, catalog: Catalog, upper: Int64[Tensor, " steps"], *, in_one_block: bool) -> _Passed:
        nodes, which, num_steps = upper.unique(return_inverse=True, return_counts=True)
        num_edges = catalog.num_children(nodes)
        has_many: Bool[Tensor, " distinct"] = num_edges >= MANY_CHILDREN
        has_many &= num_edges * num_steps >= MANY_LOGITS
        order = has_many.int().argsort(stable=True)
        nodes, has_many, num_steps = nodes[order], has_many[order], num_steps[order]
        before = num_steps.cumsum(0) - num_steps
        alone = has_many.cumsum(0)
        cut = torch.where(has_many, -alone, before // STEPS_AT_ONCE)
        if in_one_block:
            cut = torch.zeros_like(cut)
        block = torch.unique_consecutive(cut, return_inverse=True)[1]
        number = torch.empty_like(order)
        number[order] = torch.arange(len(order))
        num_edges = catalog.num_children(nodes)
        return cls(nodes, block, num_edges.cumsum(0) - num_edges, number[which])
