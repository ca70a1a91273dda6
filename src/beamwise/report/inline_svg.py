"""Drawings as SVG that stands in a page: transparent, text as text, in the page's colours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the colour of the page's text in drawings, and is replaced by it."""
INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
"""Matplotlib's settings for the colours of text and axes."""


def drawn_svg(draw: Callable[[], Figure], ink: str, salt: str) -> str:
    """A drawing as SVG without background, the same text each time.

    Args:
        draw: Makes the figure; what it draws without a colour has `ink`.
        ink: Colour of text and axes.
        salt: What tells its names apart from those of other drawings in the page.
    """
    from matplotlib import rc_context

    settings: dict[Any, Any] = dict.fromkeys(INKED, ink)
    settings |= {"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": ["sans-serif"]}
    with rc_context(settings):
        figure = draw()
        figure.patch.set_alpha(0)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def in_page(svg: str, label: str, colours: Mapping[str, str]) -> str:
    """An SVG file as an element of a page.

    Args:
        svg: Drawn with INK, which becomes the colour of the page's text.
        label: What it shows, for those who do not see it.
        colours: Colours, as #rrggbb in lower case, and what the page has in their place.
    """
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    for colour, replacement in colours.items():
        svg = svg.replace(colour, replacement)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
