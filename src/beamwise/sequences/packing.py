"""Which targets are read in one row: each alone, or a user's side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.sequences.windows import Windows


@dataclass(frozen=True, eq=False)
class Packs:
    """Targets grouped into rows that are read at once."""

    windows: Windows
    targets: Int64[Tensor, " targets"]
    """Windows, a row's side by side in the order of their positions."""
    starts: Int64[Tensor, " packs_and_one"]
    """Row `p` has `targets[starts[p]:starts[p + 1]]`."""
    num_items: Int64[Tensor, " packs"]
    """Items that a row reads, its last target not counted."""

    def __len__(self) -> int:
        return len(self.num_items)

    @property
    def sizes(self) -> Int64[Tensor, " packs"]:
        """Targets of each row."""
        return self.starts.diff()

    def windows_of(
        self, packs: Int64[Tensor, " rows"]
    ) -> tuple[Int64[Tensor, " targets"], Int64[Tensor, " targets"]]:
        """The targets of some rows, in their order, and the place among `packs` of each's row."""
        sizes = self.sizes[packs]
        rows = torch.repeat_interleave(sizes)
        shift = self.starts[packs] - (sizes.cumsum(0) - sizes)
        return self.targets[torch.arange(len(rows)) + shift[rows]], rows

    def items(self, packs: Int64[Tensor, " rows"]) -> PackedItems:
        """The items of some rows, and where the targets stand in them."""
        windows, rows = self.windows_of(packs)
        last = self.targets[self.starts[packs + 1] - 1]
        num_items = self.num_items[packs]
        items = self.windows.items_until(last, num_items + 1)
        back = self.windows.positions[last][rows] - self.windows.positions[windows]
        return PackedItems(items, rows, num_items[rows] - back)


@dataclass(frozen=True)
class PackedItems:
    """Rows of items of which several are targets, each with all items before it as history."""

    items: Int64[Tensor, "rows items"]
    """Item indices in time order, right-padded with -1."""
    rows: Int64[Tensor, " targets"]
    """Row of each target, ascending."""
    columns: Int64[Tensor, " targets"]
    """Place of each target in its row, >= 1."""

    def tokens_before(self, catalog: Catalog) -> Int64[Tensor, " targets"]:
        """Tokens of the items before each target, their end tokens not counted."""
        paths = catalog.leaf_tokens[catalog.leaf_of_item[self.items.clamp(min=0)].long()]
        lengths = (paths >= 0).sum(-1) - int(catalog.end_token is not None)
        before = torch.nn.functional.pad(lengths.cumsum(1), (1, 0))
        return before[self.rows, self.columns]


def alone(windows: Windows) -> Packs:
    """Every target in a row of its own."""
    each = torch.arange(len(windows))
    starts = torch.arange(len(windows) + 1)
    return Packs(windows, each, starts, windows.history_lengths)


def packed_windows(windows: Windows) -> Packs:
    """Targets whose whole past is their history share a row; every other has one of its own.

    A target's history is then exactly that of its window. A target far into a sequence cannot share
    a row with others and still see its last items only: through several layers, what it sees has
    itself seen more.

    Raises:
        ValueError: If a target is a user's first item.
    """
    return _grouped(windows, torch.where(_has_whole_past(windows), 0, windows.positions))


def packed_stream(windows: Windows, longest: int) -> Packs:
    """A user's targets share rows of up to `longest` items, as few as that takes.

    Where a user's past is longer than that, rows overlap: the first target of a later row sees as
    many items as its window has, the last one `longest` of them.

    Args:
        windows: The targets.
        longest: Most items that a target sees; at least twice the windows' `max_history`.

    Raises:
        ValueError: If `longest` is too short, or a target is a user's first item.
    """
    shortest = windows.max_history
    if longest < 2 * shortest:
        raise ValueError(
            f"rows of {longest} items are too short for a stream: set training.stream_items to at "
            f"least 2 * max_history = {2 * shortest}"
        )
    beyond = (windows.positions - longest - 1).clamp(min=-1)
    piece = torch.where(beyond < 0, 0, beyond // (longest - shortest + 1) + 1)
    return _grouped(windows, piece)


def _grouped(windows: Windows, piece: Int64[Tensor, " targets"]) -> Packs:
    """Targets of equal user and piece side by side.

    A row reads from the first item that its first target's window has.
    """
    if bool((windows.positions < 1).any()):
        raise ValueError("a target without any item before it cannot be packed: drop it")
    users, positions = windows.users, windows.positions
    order = positions.argsort(stable=True)
    order = order[piece[order].argsort(stable=True)]
    order = order[users[order].argsort(stable=True)]
    keys = torch.stack((users[order], piece[order]))
    opens = torch.ones(len(order), dtype=torch.bool)
    opens[1:] = (keys[:, 1:] != keys[:, :-1]).any(0)
    starts = torch.nn.functional.pad(opens.nonzero()[:, 0], (0, 1), value=len(order))
    first, last = order[starts[:-1]], order[starts[1:] - 1]
    begins = positions[first] - windows.history_lengths[first]
    return Packs(windows, order, starts, positions[last] - begins)


def _has_whole_past(windows: Windows) -> Tensor:
    return windows.positions <= windows.max_history
