"""What the rows of an optimiser step take to compute, before they are put into chunks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, History
from beamwise.catalog import Catalog
from beamwise.objectives.base import Needs
from beamwise.sequences.negatives import Candidates
from beamwise.sequences.packing import Packs
from beamwise.sequences.prefix_levels import Steps


@dataclass(frozen=True)
class StepRows:
    """What is computed in an optimiser step."""

    packs: Packs
    rows: Int64[Tensor, " rows"]
    sizes: Int64[Tensor, " rows"]
    """Targets of every row."""
    candidates: Candidates
    """Of the rows' targets, one after the other."""
    encoded: History | None
    """Where every target has a row, the histories as the backbone reads them."""


class RowCosts:
    """What the rows of a step take, as if a target's candidates shared no prefix."""

    def __init__(self, backbone: Backbone, catalog: Catalog, needs: Needs) -> None:
        self._catalog, self._needs = catalog, needs
        self._vocab_size = backbone.vocab_size
        self._num_tokens = (catalog.leaf_tokens >= 0).sum(1)
        self._has_one_length = bool((self._num_tokens == catalog.num_levels).all())

    def widths(self, step: StepRows) -> Int64[Tensor, " rows"]:
        """Tokens computed in each row."""
        if step.encoded is not None:  # the last token of a context is the root of the candidates
            return step.encoded.lengths - 1 + self._candidate_tokens(step, first=0)
        if self._has_one_length:
            context = step.packs.num_items[step.rows] * self._catalog.num_levels
        else:
            context = self._item_tokens(step.packs.items(step.rows).items)
        return context + self._candidate_tokens(step, first=1)

    def logits(self, step: StepRows) -> Int64[Tensor, " rows"]:
        """Logits formed in each row."""
        if self._needs.vocabulary:
            return self._candidate_tokens(step, first=0) * self._vocab_size
        legal = Steps.of(self._catalog, step.candidates.leaves[:, 0]).num_children.sum(1)
        return _sums(legal, step.sizes)

    def _candidate_tokens(self, step: StepRows, first: int) -> Int64[Tensor, " rows"]:
        """Tokens of the candidates from column `first` on."""
        leaves, depths = step.candidates.leaves, step.candidates.depths
        if self._has_one_length:
            return step.sizes * (leaves.shape[1] - first) * self._catalog.num_levels
        num_tokens = self._num_tokens[leaves.clamp(min=0)].where(leaves >= 0, 0)
        num_tokens = num_tokens if depths is None else num_tokens.minimum(depths)
        return _sums(num_tokens[:, first:].sum(1), step.sizes)

    def _item_tokens(self, items: Int64[Tensor, "rows items"]) -> Int64[Tensor, " rows"]:
        """Tokens of all items of each row, without those that end them."""
        leaves = self._catalog.leaf_of_item[items.clamp(min=0)].long()
        num_tokens = self._num_tokens[leaves] - int(self._catalog.end_token is not None)
        return num_tokens.where(items >= 0, 0).sum(1)


def _sums(
    values: Int64[Tensor, " targets"], sizes: Int64[Tensor, " rows"]
) -> Int64[Tensor, " rows"]:
    """Sum over the targets of every row."""
    return torch.zeros_like(sizes).index_add(0, torch.repeat_interleave(sizes), values)
