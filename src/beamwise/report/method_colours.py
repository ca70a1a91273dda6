"""How the methods of an experiment look in every chart: one colour each, safe for colour-blind.

More methods than colours share one and differ by marker, dash and hatch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from beamwise.report.panels import COLOURS, GREY, Dash

BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY, BLACK = COLOURS
PALETTE = (*COLOURS, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "h")
"""Of the points of a line; filled ones, which are seen when small."""
DASHES: tuple[Dash, ...] = ("solid", "dashed", "dotted", "dashdot")
HATCHES = ("", "////", "xxx", "....", "\\\\\\\\", "+++", "ooo", "---", "||", "**", "//..", "xx--")
"""Of bars; one for each marker, so that what differs as points differs as bars."""

METHODS = {
    "ce": (BLACK, "o"),
    "msl": (GREEN, "s"),
    "dpo": (SKY, "^"),
    "dmpo": (ORANGE, "v"),
    "s-dpo": (PINK, "D"),
    "apao-pointwise": (BLUE, "P"),
    "apao-pairwise": (VERMILLION, "X"),
    "bear": (ORANGE, "s"),
    "smoothed": (SKY, "o"),
    "prefix-survival": (PINK, "o"),
    "sasrec": (GREY, "o"),
    "item-knn": (GREY, "s"),
    "popularity": (GREY, "^"),
}
"""Colour and marker of what is trained. The seven of the APAO paper's tables have seven colours;
BEAR and ours share those of the preference objectives, which they are seldom drawn beside."""
SEARCHES = {
    "beam-search": (BLUE, "o"),
    "exact-search": (VERMILLION, "s"),
    "exact-ranking": (VERMILLION, "s"),
    "full-sort": (GREEN, "^"),
    "ours": (BLUE, "o"),
    "paper": (GREY, "D"),
}
"""Of series that are of no method."""
KNOWN = METHODS | SEARCHES


class Look(NamedTuple):
    """How one series is drawn."""

    colour: str
    marker: str
    dash: Dash = "solid"
    hatch: str = ""


def looks(methods: Sequence[str]) -> list[Look]:
    """The look of each series of one chart, no two the same in colour and marker.

    A known method has its colour, and a variant that of its family where the family has no other
    in the chart. The others take the colours that are used least, in the order of `methods`, so
    the same methods always look the same. A method given twice keeps its colour.

    Args:
        methods: Of each series.

    Raises:
        ValueError: If one colour would need more markers than there are.
    """
    chosen = _of_families(methods)
    for slug in map(slug_of, methods):
        if slug not in chosen:
            chosen[slug] = _least_used(chosen.values())
    found: list[Look] = []
    reserved = set(chosen.values())
    for place, slug in enumerate(map(slug_of, methods)):
        colour, marker = chosen[slug]
        if slug in map(slug_of, methods[:place]):
            marker = _other_marker(colour, reserved)
            reserved.add((colour, marker))
        uses = sum(look.colour == colour for look in found)
        hatch = HATCHES[uses % len(HATCHES)]
        found.append(Look(colour, marker, DASHES[uses % len(DASHES)], hatch))
    return found


def colour_of(method: str) -> str | None:
    """The colour of a method, of the family of a variant, or of a search; None if unknown."""
    family = family_of(method)
    return None if family is None else KNOWN[family][0]


def family_of(name: str) -> str | None:
    """What a name is a variant of: itself, its second stage, or what it begins with.

    `ce-dpo` and `CE -> DPO` are of `dpo`, `apao-pairwise-beam20` of `apao-pairwise`.
    """
    slug = slug_of(name)
    if slug in KNOWN:
        return slug
    for stage in METHODS:
        later = slug.removeprefix(f"{stage}-")
        if later != slug and (begun := _begins_with(later, METHODS)):
            return begun
    return _begins_with(slug, KNOWN)


def slug_of(name: str) -> str:
    """A name in lower case, its words joined by dashes, however it is written."""
    return re.sub(r"[\W_]+", "-", name.lower()).strip("-") or name


def _begins_with(slug: str, names: Collection[str]) -> str | None:
    """The longest of some names that another is, or begins with."""
    begun = [name for name in names if slug == name or slug.startswith(f"{name}-")]
    return max(begun, key=len, default=None)


def _of_families(methods: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of one method a family: the family's own, or the first of its variants."""
    families = {slug_of(method): family_of(method) for method in methods}
    own_first = sorted(families, key=lambda slug: slug != families[slug])
    chosen: dict[str, tuple[str, str]] = {}
    for slug in own_first:
        family = families[slug]
        if family is not None and KNOWN[family] not in chosen.values():
            chosen[slug] = KNOWN[family]
    return chosen


def _least_used(taken: Collection[tuple[str, str]]) -> tuple[str, str]:
    colours = [colour for colour, _ in taken]
    colour = min(PALETTE, key=colours.count)
    return colour, _other_marker(colour, taken)


def _other_marker(colour: str, taken: Collection[tuple[str, str]]) -> str:
    """The first marker that nothing of this colour has."""
    for marker in MARKERS:
        if (colour, marker) not in taken:
            return marker
    raise ValueError(
        f"a chart has more series of one colour than the {len(MARKERS)} markers that tell them "
        "apart: draw several charts"
    )
