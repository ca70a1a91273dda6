"""Levels of a beam as the steps at which something had a choice: what is forced is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from beamwise.catalog import Catalog
from beamwise.experiments.beam_trace import TracedLevel
from beamwise.experiments.inspected_levels import LevelDescriber
from beamwise.report.inspection import InspectedLevel, InspectedPrefix


def levels_as_they_are(
    describer: LevelDescriber, widths: Sequence[int], num_levels: int, num_lost: int
) -> tuple[InspectedLevel, ...]:
    """Every level of a beam, as semantic IDs have few.

    Args:
        describer: Knows the levels.
        widths: Prefixes kept, one number a level.
        num_levels: Those that the beam reached.
        num_lost: Lost prefixes to name on each, beside those that matter.
    """
    return tuple(describer.level(index, widths[index], num_lost) for index in range(num_levels))


def levels_with_a_choice(
    describer: LevelDescriber,
    catalog: Catalog,
    traced: Sequence[TracedLevel],
    widths: Sequence[int],
    num_lost: int,
) -> tuple[InspectedLevel, ...]:
    """The levels at which a live prefix had several children, or one fell out of the beam.

    Forced tokens belong to the level before them. Whole items that end on such tokens stand in a
    last level, and a prefix extends its beginning on the level shown before it.
    """
    chosen = [index for index, level in enumerate(traced) if level.is_choice]
    forced = [index for index, level in enumerate(traced) if not level.is_choice]
    depths = [0, *(index + 1 for index in chosen)]
    levels: list[InspectedLevel] = []
    for index, (above, number), following in zip(
        chosen, pairwise(depths), [*chosen, len(traced)][1:], strict=True
    ):
        assert number == index + 1, "a level has as many tokens as its number"
        level = describer.level(index, widths[index], num_lost)
        levels.append(replace(_below(level, catalog, [above]), until=following))
    end = describer.the_end(forced, num_lost)
    return tuple(levels) if end is None else (*levels, _below(end, catalog, depths))


def _below(level: InspectedLevel, catalog: Catalog, depths: Sequence[int]) -> InspectedLevel:
    """The level with each prefix below its beginning of the most of so many tokens."""

    def parent(prefix: InspectedPrefix) -> int:
        depth = max(each for each in depths if each < len(prefix.tokens))
        leaf = int(catalog.leaf_start[prefix.node])
        return int(catalog.leaf_nodes[leaf, depth - 1]) if depth else 0

    survivors, lost = (
        tuple(replace(prefix, parent=parent(prefix)) for prefix in part)
        for part in (level.survivors, level.lost)
    )
    return replace(level, survivors=survivors, lost=lost)
