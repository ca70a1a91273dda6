"""Histories and targets, cut from the users' sequences when they are asked for."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.data.splitting import Sequences, Targets


class Windows:
    """Targets and the last `max_history` items before each.

    Nothing is copied per target: a window is two numbers, and histories are gathered for the rows
    asked for.
    """

    def __init__(self, sequences: Sequences, targets: Targets, max_history: int = 20) -> None:
        """Check the targets against the sequences.

        Args:
            sequences: The users' items.
            targets: Positions in them to predict.
            max_history: Most items that a history keeps, the latest.

        Raises:
            ValueError: If `max_history` is below 1, or a target is outside its user's sequence.
        """
        if max_history < 1:
            raise ValueError(f"max_history must be >= 1, got {max_history}")
        lengths = sequences.starts.diff()[targets.users]
        outside = (targets.positions < 0) | (targets.positions >= lengths)
        if bool(outside.any()):
            row = int(outside.int().argmax())
            raise ValueError(
                f"target {row} is at position {int(targets.positions[row])} of a user with "
                f"{int(lengths[row])} items: make targets and sequences from the same interactions"
            )
        self.max_history = max_history
        self.positions: Int64[Tensor, " targets"] = targets.positions
        """Items that the target's user took before it."""
        self.history_lengths: Int64[Tensor, " targets"] = targets.positions.clamp(max=max_history)
        """Items in each target's history, 0 where the target is the user's first item."""
        self.users: Int64[Tensor, " targets"] = targets.users
        """The user of each target, as an index into the sequences' `user_ids`."""
        self._items = sequences.items
        self._places = sequences.starts[targets.users] + targets.positions

    def __len__(self) -> int:
        return len(self._places)

    def histories(self, rows: Int64[Tensor, " batch"]) -> Int64[Tensor, "batch history"]:
        """Item indices in time order, right-padded with -1 to the longest of these rows (>= 1)."""
        return self._items_before(self._places[rows], self.history_lengths[rows])

    def items_until(
        self, rows: Int64[Tensor, " batch"], num_items: Int64[Tensor, " batch"]
    ) -> Int64[Tensor, "batch items"]:
        """The last `num_items` items of each row up to its target, this included, padded alike.

        The caller sees to it that the user has so many.
        """
        return self._items_before(self._places[rows] + 1, num_items)

    def targets(self, rows: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
        """Item indices to predict."""
        return self._items[self._places[rows]].long()

    def _items_before(
        self, places: Int64[Tensor, " batch"], lengths: Int64[Tensor, " batch"]
    ) -> Int64[Tensor, "batch items"]:
        width = max(1, int(lengths.max())) if len(places) else 1
        offsets = torch.arange(width)
        within = offsets < lengths[:, None]
        places = (places - lengths)[:, None] + offsets
        items = self._items[torch.where(within, places, 0)].long()
        return items.masked_fill(~within, -1)
