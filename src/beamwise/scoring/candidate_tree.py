"""The prefixes of some targets' candidates as one small tree a row, each prefix once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import START_TOKEN, PrefixNodes
from beamwise.catalog import Catalog
from beamwise.sequences.negatives import Candidates


@dataclass(frozen=True)
class Anchors:
    """Where the targets' trees hang: in which row, and after how much of its context."""

    rows: Int64[Tensor, " targets"]
    """Ascending: the targets of a row stand side by side."""
    context_lengths: Int64[Tensor, " targets"]
    """Tokens of the row that come before the target."""
    path_in_context: bool = False
    """Whether the target's own tokens follow in the context, as where a user's targets share a row.
    A prefix of the target then is a root with more context, and nothing of it is computed twice."""

    @classmethod
    def one_a_row(cls, context_lengths: Int64[Tensor, " targets"]) -> Anchors:
        """Every target has a row of its own, whose whole context is its history."""
        rows = torch.arange(len(context_lengths), device=context_lengths.device)
        return cls(rows, context_lengths)


@dataclass(frozen=True)
class CandidateTree:
    """Every distinct prefix of the candidates once, level by level, ready to be scored."""

    nodes: PrefixNodes
    used: Int64[Tensor, " used"]
    """The nodes that are no padding, row by row: row * columns + column."""
    places: Int64[Tensor, "targets candidates levels"]
    """The node whose hidden state predicts each token, as a place in `used`."""
    tokens: Int64[Tensor, "targets candidates levels"]
    """The candidates' paths; -1 past their ends."""

    @classmethod
    def of(cls, catalog: Catalog, candidates: Candidates, anchors: Anchors) -> CandidateTree:
        """The tree of the candidates over the catalog's prefixes, on the catalog's device.

        Columns are ordered by depth. Where the target's path stands in the context, it is a row of
        roots after 0, 1, 2, ... of its tokens, and another candidate's tree hangs on the root after
        the tokens that both share.
        """
        tokens, paths = _paths(catalog, candidates)
        lengths = (tokens >= 0).sum(-1)
        rows = _Rows.of(anchors.rows)
        if not anchors.path_in_context and rows.most == tokens.shape[1] == 1:
            return cls._of_paths(tokens, lengths, anchors)
        if anchors.path_in_context:
            shared = ((paths == paths[:, :1]) & (paths >= 0)).sum(-1)
            num_roots = int(lengths[:, 0].max())
        else:
            shared = torch.zeros_like(lengths)
            num_roots = 1
        first_root = rows.index[:, None] * num_roots
        blocks = [_roots(rows, anchors, lengths[:, 0], num_roots)]
        columns = [first_root + shared]
        for depth in range(1, catalog.num_levels):
            length = shared + depth
            needed = length < lengths
            last = (length - 1).clamp(max=catalog.num_levels - 1)[..., None]
            node = paths.gather(-1, last)[..., 0] + rows.index[:, None] * catalog.num_nodes
            slots, width = _distinct(rows.table(node, -1), rows.table(needed, False))
            if width == 0:
                break
            after = anchors.context_lengths[:, None] + shared
            values = (tokens.gather(-1, last)[..., 0], columns[-1], after)
            placed = (_place(rows.table(value, -1), slots, width) for value in values)
            node_tokens, parents, context_lengths = placed
            depths = torch.where(node_tokens < 0, -1, depth)
            blocks.append((node_tokens, parents, context_lengths, depths))
            start = sum(block[0].shape[1] for block in blocks[:-1])
            columns.append(torch.where(needed, rows.pick(slots) + start, 0))
        nodes = _joined(blocks)
        steps = torch.arange(catalog.num_levels, device=tokens.device)
        column = _columns(torch.stack(columns, -1), shared, first_root, steps)
        return cls._placed(nodes, column, rows.rows, tokens)

    @classmethod
    def _of_paths(
        cls,
        tokens: Int64[Tensor, "targets 1 levels"],
        lengths: Int64[Tensor, "targets 1"],
        anchors: Anchors,
    ) -> CandidateTree:
        """The tree of one candidate a row, which is a path: as by levels, without a loop."""
        width = int(lengths.max())
        depth = torch.arange(width, device=tokens.device)
        beyond = depth >= lengths
        above = torch.nn.functional.pad(tokens[:, 0, : width - 1], (1, 0), value=START_TOKEN)
        nodes = PrefixNodes(
            above.masked_fill(beyond, -1),
            (depth - 1).expand_as(above).masked_fill(beyond, -1),
            depth.expand_as(above).masked_fill(beyond, -1),
            anchors.context_lengths[:, None].expand_as(above).masked_fill(beyond, -1),
            tuple(range(width)),
        )
        column = torch.arange(tokens.shape[2], device=tokens.device).expand_as(tokens)
        return cls._placed(nodes, column, anchors.rows, tokens)

    @classmethod
    def _placed(
        cls,
        nodes: PrefixNodes,
        column: Int64[Tensor, "targets candidates levels"],
        rows: Int64[Tensor, " targets"],
        tokens: Int64[Tensor, "targets candidates levels"],
    ) -> CandidateTree:
        """The tree, with each column that predicts a token as a place among what is used."""
        width = nodes.tokens.shape[1]
        column = column.clamp(max=width - 1)  # past a candidate's end it may be anywhere
        is_used = (nodes.tokens >= 0).flatten()
        number = is_used.cumsum(0) - 1
        place = number[column + rows[:, None, None] * width].clamp(min=0)
        return cls(nodes, is_used.nonzero()[:, 0], place, tokens)


@dataclass(frozen=True)
class _Rows:
    """Targets laid out by the row that they belong to."""

    rows: Int64[Tensor, " targets"]
    index: Int64[Tensor, " targets"]
    """Of each target within its row."""
    num_rows: int
    most: int
    """Targets of the fullest row."""

    @classmethod
    def of(cls, rows: Int64[Tensor, " targets"]) -> _Rows:
        sizes = torch.bincount(rows)
        index = torch.arange(len(rows), device=rows.device) - (sizes.cumsum(0) - sizes)[rows]
        return cls(rows, index, len(sizes), int(sizes.max()))

    def table(self, values: Tensor, fill: int | bool) -> Tensor:
        """Values of the targets' candidates side by side in their rows."""
        if self.most == 1:
            return values
        laid = values.new_full((self.num_rows, self.most, values.shape[1]), fill)
        laid[self.rows, self.index] = values
        return laid.flatten(1)

    def pick(self, table: Tensor) -> Tensor:
        """What `table` laid out, by target again."""
        if self.most == 1:
            return table
        return table.unflatten(1, (self.most, -1))[self.rows, self.index]


def _paths(
    catalog: Catalog, candidates: Candidates
) -> tuple[Int64[Tensor, "targets candidates levels"], Int64[Tensor, "targets candidates levels"]]:
    """Tokens and nodes of the candidates' paths, -1 past their ends and where there is none."""
    leaves = candidates.leaves.clamp(min=0)
    tokens, paths = catalog.leaf_tokens[leaves].long(), catalog.leaf_nodes[leaves].long()
    beyond = (candidates.leaves < 0)[..., None].expand_as(tokens)
    if candidates.depths is not None:
        levels = torch.arange(catalog.num_levels, device=tokens.device)
        beyond = beyond | (levels >= candidates.depths[..., None])
    return tokens.masked_fill(beyond, -1), paths.masked_fill(beyond, -1)


_Block = tuple[Tensor, Tensor, Tensor, Tensor]
"""Some columns of the tree: tokens, parents, context lengths and depths, each (rows, columns)."""


def _roots(
    rows: _Rows, anchors: Anchors, lengths: Int64[Tensor, " targets"], num_roots: int
) -> _Block:
    """The roots of every target: after its history, and where its path follows after each token."""
    steps = torch.arange(num_roots, device=lengths.device)
    context_lengths = anchors.context_lengths[:, None] + steps
    context_lengths = context_lengths.masked_fill(steps >= lengths[:, None], -1)
    context_lengths = rows.table(context_lengths, -1)
    tokens = torch.where(context_lengths < 0, -1, START_TOKEN)
    depths = torch.where(context_lengths < 0, -1, 0)
    return tokens, torch.full_like(tokens, -1), context_lengths, depths


def _joined(blocks: list[_Block]) -> PrefixNodes:
    tokens, parents, context_lengths, depths = (
        torch.cat(parts, 1) for parts in zip(*blocks, strict=True)
    )
    widths = torch.tensor([0, *(block[0].shape[1] for block in blocks[:-1])])
    first_of_depth = tuple(widths.cumsum(0).tolist())
    return PrefixNodes(tokens, parents, depths, context_lengths, first_of_depth)


def _columns(
    own: Int64[Tensor, "targets candidates depths"],
    shared: Int64[Tensor, "targets candidates"],
    first_root: Int64[Tensor, "targets 1"],
    steps: Int64[Tensor, " levels"],
) -> Int64[Tensor, "targets candidates levels"]:
    """The column that predicts each token.

    A root up to what is shared, then the candidate's own node so many levels further down.
    """
    below = steps - shared[..., None]
    deeper = own.gather(-1, below.clamp(min=0, max=own.shape[-1] - 1))
    return torch.where(below <= 0, first_root[..., None] + steps.minimum(shared[..., None]), deeper)


def _distinct(
    nodes: Int64[Tensor, "rows candidates"], needed: Bool[Tensor, "rows candidates"]
) -> tuple[Int64[Tensor, "rows candidates"], int]:
    """Number each row's distinct needed nodes from 0, ascending; -1 where not needed.

    Returns:
        The number of every candidate's node, and the largest count of any row.
    """
    unneeded = torch.iinfo(nodes.dtype).max
    ordered, order = torch.where(needed, nodes, unneeded).sort(dim=1)
    starts = F.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0), value=True)
    numbers = starts.cumsum(1) - 1
    numbers = torch.where(ordered == unneeded, -1, numbers)
    slots = torch.empty_like(numbers).scatter_(1, order, numbers)
    return slots, int(numbers.max()) + 1


def _place(
    values: Int64[Tensor, "rows candidates"], slots: Int64[Tensor, "rows candidates"], width: int
) -> Int64[Tensor, "rows width"]:
    """Each row's values at their slots, -1 where nothing lies."""
    table = values.new_full((len(values), width + 1), -1)
    return table.scatter_(1, torch.where(slots < 0, width, slots), values)[:, :width]
