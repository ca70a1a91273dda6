"""What a caller asks of a search, checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.decoding.eligibility import ListedItems

MASKS = ("after", "before")


@dataclass(frozen=True)
class SearchRequest:
    """The arguments that every search has; see `beam_search` for their meaning."""

    backbone: Backbone
    histories: Tensor
    catalog: Catalog
    top_k: int
    mask: str
    eligible: Tensor | ListedItems | None

    def __post_init__(self) -> None:
        """Check what the caller gave.

        Raises:
            ValueError: One line that names the argument, what is accepted and the fix.
        """
        self._check_histories()
        if self.top_k < 1:
            raise ValueError(f"top_k must be >= 1, got {self.top_k}: ask for at least one item")
        if self.mask not in MASKS:
            raise ValueError(f"mask must be one of {', '.join(MASKS)}, got {self.mask!r}")
        if isinstance(self.eligible, ListedItems):
            self._check_listed(self.eligible.items)
        elif self.eligible is not None:
            self._check_eligible(self.eligible)
        if self.backbone.vocab_size < self.catalog.vocab_size:
            raise ValueError(
                f"the backbone scores {self.backbone.vocab_size} tokens, the catalog has "
                f"{self.catalog.vocab_size}: use the catalog that the backbone was trained with"
            )

    def _check_histories(self) -> None:
        histories, num_items = self.histories, self.catalog.num_items
        if histories.ndim != 2 or histories.dtype != torch.int64:
            raise ValueError(
                "histories must be int64 of shape (batch, history), right-padded with -1, got "
                f"{histories.dtype} of shape {tuple(histories.shape)}"
            )
        if histories.device != self.catalog.device:
            raise ValueError(
                f"histories are on {histories.device}, the catalog is on {self.catalog.device}: "
                "move one with .to(device)"
            )
        if histories.numel() == 0:
            return
        lowest, highest = int(histories.min()), int(histories.max())
        if lowest < -1 or highest >= num_items:
            bad = highest if highest >= num_items else lowest
            raise ValueError(
                f"histories must hold item indices 0..{num_items - 1} or -1 for padding, got "
                f"{bad}: use the catalog that they were made with"
            )

    def _check_listed(self, items: Tensor) -> None:
        num_items, num_users = self.catalog.num_items, len(self.histories)
        if items.ndim != 2 or items.dtype != torch.int64 or len(items) != num_users:
            raise ValueError(
                f"listed items must be int64 of shape ({num_users}, n), one row a user, padded "
                f"with -1, got {items.dtype} of shape {tuple(items.shape)}"
            )
        if items.device != self.catalog.device:
            raise ValueError(
                f"listed items are on {items.device}, the catalog is on {self.catalog.device}: "
                "move one with .to(device)"
            )
        if items.numel() and (int(items.min()) < -1 or int(items.max()) >= num_items):
            bad = int(items.max()) if int(items.max()) >= num_items else int(items.min())
            raise ValueError(
                f"listed items must be item indices 0..{num_items - 1} or -1 for padding, got {bad}"
            )

    def _check_eligible(self, eligible: Tensor) -> None:
        num_items, num_users = self.catalog.num_items, len(self.histories)
        shapes = [(num_items,), (num_users, num_items)]
        if eligible.dtype != torch.bool or tuple(eligible.shape) not in shapes:
            raise ValueError(
                f"eligible must be bool of shape {shapes[0]} or {shapes[1]}, got "
                f"{eligible.dtype} of shape {tuple(eligible.shape)}"
            )
        if eligible.device != self.catalog.device:
            raise ValueError(
                f"eligible is on {eligible.device}, the catalog is on {self.catalog.device}: "
                "move one with .to(device)"
            )


def widths_by_level(
    beam_width: int | Sequence[int], top_k: int | None, catalog: Catalog
) -> tuple[tuple[int, ...], int]:
    """The width kept after every level, and the number of results.

    Raises:
        ValueError: If a width is below 1, there is not one a level, or the beam cannot hold top_k.
    """
    num_levels = catalog.num_levels
    widths = (beam_width,) * num_levels if isinstance(beam_width, int) else tuple(beam_width)
    if len(widths) != num_levels:
        raise ValueError(
            f"beam_width must be one int or {num_levels} ints, one a level of the catalog, got "
            f"{len(widths)}"
        )
    if min(widths) < 1:
        raise ValueError(f"beam_width must be >= 1, got {min(widths)}: widen the beam")
    last = widths[-1]
    fixed_length = catalog.num_leaves == catalog.level_start[-1] - catalog.level_start[-2]
    if top_k is not None and top_k > last and fixed_length:
        raise ValueError(
            f"top_k must be in 1..{last}, the last beam_width, got {top_k}: widen the beam"
        )
    return widths, last if top_k is None else top_k
