"""Mined negatives: the prefixes that a beam search keeps in place of a target's."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, eval_mode
from beamwise.backbones.products import fast_cpu_products
from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import Eligibility
from beamwise.decoding.ranking import layout
from beamwise.decoding.request import SearchRequest
from beamwise.decoding.results import rank_leaves
from beamwise.decoding.search import beam_levels, chunks_by_length, leaves_of
from beamwise.sequences.negatives import Candidates


@torch.no_grad()
def mine(
    backbone: Backbone,
    catalog: Catalog,
    histories: Int64[Tensor, "batch history"] | Tensor,
    target_leaves: Int64[Tensor, " batch"] | Tensor,
    beam_width: int,
    mask: str = "after",
    *,
    chunk_size: int = 16,
) -> Candidates:
    """What a beam search keeps for each target's history: what prunes the target, or is next to.

    Leading tokens of the candidates are, at every level, exactly the beam's prefixes and leaves,
    less the target's own: `beam_width` of them where they pruned the target. Leaves are the
    `beam_width` best that the search found. On titles forced tokens are computed together, and with
    the mask before the softmax an item that is decided is never computed, as in `beam_search`.

    Args:
        backbone: On the catalog's device; searched in evaluation mode, its own is restored.
        catalog: What the search may return.
        histories: Item indices in time order, right-padded with -1.
        target_leaves: The leaf that should follow each history.
        beam_width: Prefixes kept after each level.
        mask: As in `beam_search`.
        chunk_size: Histories searched at a time; changes speed and memory only.

    Returns:
        Column 0 is the target; then whole leaves, best first, and longer prefixes before shorter
        ones. A prefix stands there only where nothing kept lies below it.

    Raises:
        ValueError: If an argument is out of range, or the backbone gives NaN.
    """
    if beam_width < 1:
        raise ValueError(f"beam_width must be >= 1, got {beam_width}: widen the beam")
    request = SearchRequest(backbone, histories, catalog, beam_width, mask, None)
    _check_targets(target_leaves, len(histories), catalog)
    with eval_mode(backbone), fast_cpu_products():
        chunks = chunks_by_length(histories, chunk_size)[1]
        found = _Mined.joined([_mined(request, users) for users in chunks])
    found = found.where(~_on_path(catalog, found, target_leaves)).by_row()
    place = layout(found.rows, len(histories))
    lengths = _lengths(catalog, target_leaves)[:, None]
    # at least one column, of -1, where the beam holds nothing but targets' own paths
    none = torch.full_like(lengths, -1)[:, place.num_columns :]
    return Candidates(
        torch.cat([target_leaves[:, None], place.table(found.leaves, -1), none], dim=1),
        torch.cat([lengths, place.table(found.depths, 0), none + 1], dim=1),
    )


class _Mined(NamedTuple):
    """Prefixes of many users, one after the other, each named by a leaf below it."""

    rows: Int64[Tensor, " mined"]
    leaves: Int64[Tensor, " mined"]
    depths: Int64[Tensor, " mined"]

    def where(self, chosen: Bool[Tensor, " mined"]) -> _Mined:
        return _Mined(*(column[chosen] for column in self))

    def by_row(self) -> _Mined:
        order = self.rows.argsort(stable=True)
        return _Mined(*(column[order] for column in self))

    @classmethod
    def joined(cls, parts: list[_Mined]) -> _Mined:
        return cls(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _mined(request: SearchRequest, users: Int64[Tensor, " users"]) -> _Mined:
    """What the beam of some users keeps; rows count through all users."""
    catalog, beam_width = request.catalog, request.top_k
    eligibility = Eligibility(catalog, None)
    widths = [beam_width] * catalog.num_levels
    levels = list(beam_levels(request, users, widths, eligibility))
    found = leaves_of(levels, catalog, len(users))
    best = rank_leaves(found, beam_width, catalog, eligibility).leaves
    rows, ranks = (best >= 0).nonzero(as_tuple=True)
    leaves = best[rows, ranks]
    parts = [_Mined(rows, leaves, _lengths(catalog, leaves))]
    for depth, level in reversed(list(enumerate(levels, start=1))):
        first_below = catalog.leaf_start[level.kept.nodes].long()
        parts.append(_Mined(level.kept.rows, first_below, torch.full_like(first_below, depth)))
    kept = _Mined.joined(parts)
    kept = kept.where(_has_none_below(catalog, kept))
    return kept._replace(rows=users[kept.rows])


def _has_none_below(catalog: Catalog, kept: _Mined) -> Bool[Tensor, " mined"]:
    """Whether no other prefix of the row goes through this one.

    What a beam keeps it has found below a prefix that it kept, so it is enough to look one up.
    """
    last = kept.depths - 1
    own, above = (
        catalog.leaf_nodes[kept.leaves, place.clamp(min=0)].long() for place in (last, last - 1)
    )
    first_of_row = kept.rows * catalog.num_nodes
    parents = (first_of_row + above)[kept.depths > 1]
    return ~torch.isin(first_of_row + own, parents)


def _on_path(
    catalog: Catalog, found: _Mined, target_leaves: Int64[Tensor, " batch"]
) -> Bool[Tensor, " mined"]:
    """Whether a prefix is one of the target's own."""
    last = found.depths - 1
    ends, own = (
        catalog.leaf_nodes[leaves, last] for leaves in (found.leaves, target_leaves[found.rows])
    )
    return ends == own


def _lengths(catalog: Catalog, leaves: Int64[Tensor, " leaves"]) -> Int64[Tensor, " leaves"]:
    return (catalog.leaf_nodes[leaves] >= 0).sum(dim=1)


def _check_targets(target_leaves: Tensor, num_histories: int, catalog: Catalog) -> None:
    if target_leaves.dtype != torch.int64 or target_leaves.shape != (num_histories,):
        raise ValueError(
            f"target_leaves must be int64 of shape ({num_histories},), one a history, got "
            f"{target_leaves.dtype} of shape {tuple(target_leaves.shape)}"
        )
    outside = (target_leaves < 0) | (target_leaves >= catalog.num_leaves)
    if bool(outside.any()):
        raise ValueError(
            f"target_leaves must lie in 0..{catalog.num_leaves - 1}, got "
            f"{int(target_leaves[outside][0])}: use the catalog that the histories were made with"
        )
