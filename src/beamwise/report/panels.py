"""Parts of a panel that pictures share: a title over its legend, percentages, plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from beamwise.report.numbers import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.lines import Line2D

Dash = Literal["solid", "dashed", "dotted", "dashdot"]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The colours of Okabe and Ito, safe for colour-blind; yellow is left out, too pale for a line."""
GREY = "#666666"
LINE_ROOM = 22
"""Points between a panel and its title, where one line of legend or text hides nothing."""
FEW_DECADES = 100
"""An axis that spans less has ticks also at 2 and 5 times a power of ten."""


def line(
    label: str,
    colour: str,
    dash: Dash = "solid",
    *,
    marker: str | None = None,
    linewidth: int | float = 1.9,
) -> Line2D:
    """An entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], color=colour, linestyle=dash, marker=marker, linewidth=linewidth, label=label
    )


def title(axes: Axes, text: str, *, legend: Sequence[Line2D] = (), subtitle: str = "") -> None:
    """Put a bold title over the panel, and under it one line of legend or of text."""
    axes.set_title(text, loc="left", fontweight="bold", pad=LINE_ROOM)
    axes.annotate(
        subtitle,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 7),
        textcoords="offset points",
        color=GREY,
        fontsize=9,
    )
    if legend:
        drawn = axes.legend(
            handles=list(legend),
            loc="lower left",
            bbox_to_anchor=(-0.03, 0.985),
            ncols=len(legend),
            frameon=False,
            fontsize=9,
            columnspacing=1.0,
            handlelength=1.6,
            handletextpad=0.5,
        )
        drawn.set_in_layout(False)  # else a long legend makes its panel narrow


def draw_shares(
    axes: Axes, shares: Sequence[float], colour: str, dash: Dash = "solid", *, first: int = 1
) -> None:
    """Draw shares 0..1 in percent over first, first + 1, ...; a dashed line is a thin one.

    A single share is a point, which only a marker shows.
    """
    is_solid = dash == "solid"
    axes.plot(
        range(first, first + len(shares)),
        [100 * share for share in shares],
        color=colour,
        linestyle=dash,
        linewidth=1.9 if is_solid else 1.3,
        marker="o" if is_solid else ("_" if len(shares) == 1 else None),
        markersize=5 if is_solid else 16,
    )


def frame_shares(axes: Axes, places: range) -> None:
    """Percentages from 0 to 100, a tick at every place."""
    axes.set(ylim=(-2, 104), xlim=(places[0] - 0.15, max(places[-1], places[0] + 1) + 0.2))
    axes.set_xticks(places)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)


def plain_numbers(axis: Axis, highest: int | float, lowest: int | float = 1) -> None:
    """Write a logarithmic axis from `lowest` to `highest` as 0.1, 1, 10, 100, 1,000."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    subs = (1.0, 2.0, 5.0) if highest / lowest < FEW_DECADES else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_formatter(NullFormatter())


def say_not_measured(axes: Axes, text: str) -> None:
    """Leave the panel empty but for a word on why."""
    title(axes, text)
    why = "not measured: there are no\nitem vectors, or none that differ"
    axes.text(0.5, 0.5, why, color=GREY, ha="center", va="center")
    axes.set_xticks([])
    axes.set_yticks([])
