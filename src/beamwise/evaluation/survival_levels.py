"""Which levels a survival report tells of: all of semantic IDs, of titles where things are lost."""

from __future__ import annotations

from typing import NamedTuple

import torch

from beamwise.catalog import Catalog
from beamwise.decoding.runs import follows_runs

MOST_LEVELS = 16
"""Levels that a report tells of one by one."""
FEWEST_ITEMS = 0.02
"""Share of the items with a choice at a level, below which it is told of with the one before."""
ITEMS = "items"
"""Name of the last level where paths differ in length: that of the results."""


class ToldLevel(NamedTuple):
    """A level at which a beam chooses, and those around it that are told of with it."""

    number: int
    """Tokens of the prefixes among which a beam chooses here."""
    last: int
    """The last level told of with it."""
    name: str


def told_levels(catalog: Catalog, beam_width: int) -> tuple[ToldLevel, ...]:
    """The levels that a report tells of; they and those told of with them are all there are.

    Where most tokens are forced, a beam can lose something at a level only if paths part there and
    more prefixes than it is wide can live on. Of these levels, the first `MOST_LEVELS` at which
    enough items have a choice are told of, and all others belong to the one before them. The last
    level is that of the results, and always told of.
    """
    last = catalog.num_levels
    if not follows_runs(catalog):
        return told_one_by_one(last)
    nodes = torch.arange(catalog.num_nodes, device=catalog.device)
    depths, num_children = catalog.depth_of(nodes), catalog.num_children(nodes)
    num_open = torch.bincount(depths[num_children > 0], minlength=last + 1)
    leaves_below = (catalog.leaf_stop - catalog.leaf_start).long() * (num_children > 1)
    num_items = torch.zeros_like(num_open).index_add_(0, depths, leaves_below)
    can_lose = (num_items[:-2] > 0) & (num_open[1:-1] > beam_width)
    matters = num_items[:-2] >= FEWEST_ITEMS * catalog.num_leaves
    numbers = (can_lose.nonzero()[:, 0] + 1).tolist()
    shown = ((can_lose & matters).nonzero()[:, 0] + 1).tolist()[: MOST_LEVELS - 1]
    shown = shown or numbers[:1]
    levels: list[ToldLevel] = []
    for number, following in zip(shown, [*shown, last][1:], strict=True):
        furthest = max(each for each in numbers if each < following)
        name = str(number) if furthest == number else f"{number}-{furthest}"
        levels.append(ToldLevel(number, following - 1, name))
    return (*levels, ToldLevel(last, last, ITEMS))


def told_one_by_one(num_levels: int) -> tuple[ToldLevel, ...]:
    """Each level by itself."""
    return tuple(ToldLevel(level, level, str(level)) for level in range(1, num_levels + 1))
