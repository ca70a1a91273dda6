"""How the methods of an experiment look in every chart: a fixed colour, marker, dash and hatch.

Colours are safe for colour-blind. Methods of a family share one and differ by the rest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from beamwise.report.panels import COLOURS, GREY, Dash

BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY, BLACK = COLOURS
INDIGO = "#332288"
"""Of Tol's muted colours the one that is far from all of Okabe and Ito's: under simulated colour
blindness at least 25 in CIELAB, where the nearest two of theirs are 16 apart."""
PALETTE = (INDIGO, BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY)
"""Colours of methods; black and grey are those of searches alone."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "h")
"""Of the points of a line; filled ones, which are seen when small."""
DASHES: tuple[Dash, ...] = ("solid", "dashed", "dotted", "dashdot")
HATCHES = ("", "////", "xxx", "....", "\\\\\\\\", "+++", "ooo", "---", "||", "**", "//..", "xx--")
"""Of bars; one for each marker, so that what differs as points differs as bars."""


class Look(NamedTuple):
    """How one series is drawn."""

    colour: str
    marker: str
    dash: Dash = "solid"
    hatch: str = ""


def _family(colour: str, markers: Mapping[str, str]) -> dict[str, Look]:
    """Looks of one colour: the first is drawn solid, the others dashed and hatched."""
    return {
        name: Look(colour, marker, DASHES[place % len(DASHES)], HATCHES[place])
        for place, (name, marker) in enumerate(markers.items())
    }


METHODS = {
    **_family(
        INDIGO, {"ce": "o", "ce-tuned": "p", "sasrec": "h", "item-knn": "<", "popularity": ">"}
    ),
    **_family(GREEN, {"msl": "s"}),
    **_family(PINK, {"s-dpo": "D", "dpo": "^", "dmpo": "v"}),
    **_family(BLUE, {"apao-pointwise": "P"}),
    **_family(VERMILLION, {"apao-pairwise": "X"}),
    **_family(
        ORANGE, {"bear": "h", "bear-hinge": "<", "bear-log-sigmoid": ">", "bear-reweight": "p"}
    ),
    **_family(SKY, {"prefix-survival": "*", "smoothed": "o"}),
}
"""Of what is trained: baselines, MSL, preference objectives, both forms of APAO, BEAR, and ours."""
_BEAM, _SORT, _EXACT, _PAPER = (
    Look(BLACK, "o"),
    Look(BLACK, "^", "dashed", "////"),
    Look(GREY, "s"),
    Look(GREY, "D", "dashed", "////"),
)
SEARCHES = {
    "beam-search": _BEAM,
    "exact-search": _EXACT,
    "exact-ranking": _EXACT,
    "full-sort": _SORT,
    "ours": _BEAM,
    "paper": _PAPER,
}
"""Of series that are of no method."""
KNOWN = METHODS | SEARCHES


def looks(methods: Sequence[str]) -> list[Look]:
    """The look of each series of one chart, no two the same in colour and marker, or hatch.

    A known method has its own look. A variant has that of its family, and where that is taken its
    colour with another marker, while there are any. The others have the colours that are used
    least, in the order of `methods`, so the same methods always look the same. A method given
    twice keeps its colour.

    Args:
        methods: Of each series.

    Raises:
        ValueError: If one colour would need more markers than there are.
    """
    slugs = [slug_of(method) for method in methods]
    chosen: dict[str, Look] = {}
    for slug in sorted(slugs, key=_turn):
        if slug not in chosen:
            chosen[slug] = _look_of(slug, chosen.values())
    taken = list(chosen.values())
    found: list[Look] = []
    for place, slug in enumerate(slugs):
        look = chosen[slug]
        if slug in slugs[:place]:
            look = _other_look(look.colour, taken)
            taken.append(look)
        found.append(look)
    return found


def colour_of(method: str) -> str | None:
    """The colour of a method, of the family of a variant, or of a search; None if unknown."""
    family = family_of(method)
    return None if family is None else KNOWN[family].colour


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


def _turn(slug: str) -> int:
    """Places in a queue for looks: known names first, then variants of them, then the others."""
    return 0 if slug in KNOWN else 1 if family_of(slug) else 2


def _look_of(slug: str, taken: Collection[Look]) -> Look:
    family = family_of(slug)
    colours = [look.colour for look in taken]
    if family is None or colours.count(KNOWN[family].colour) >= len(MARKERS):
        return _other_look(min(PALETTE, key=colours.count), taken)
    own = KNOWN[family]
    return _other_look(own.colour, taken) if own in taken else own


def _other_look(colour: str, taken: Collection[Look]) -> Look:
    """The first marker, and the first hatch with its dash, that nothing of this colour has."""
    own = [look for look in taken if look.colour == colour]
    if len(own) >= len(MARKERS):
        raise ValueError(
            f"a chart has more series of one colour than the {len(MARKERS)} markers that tell them "
            "apart: draw several charts"
        )
    markers, hatches = {look.marker for look in own}, {look.hatch for look in own}
    marker = next(each for each in MARKERS if each not in markers)
    place = next(place for place, hatch in enumerate(HATCHES) if hatch not in hatches)
    return Look(colour, marker, DASHES[place % len(DASHES)], HATCHES[place])
