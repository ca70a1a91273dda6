"""Charts of a report as pictures for papers and for pages: axes, units and legends."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from beamwise.report.chart_axes import SMALL, WIDTH, frame, room_below
from beamwise.report.chart_marks import (
    FILL,
    MARKS,
    Level,
    has_looks_of_places,
    levels_of,
    looks_of,
    places_of,
)
from beamwise.report.inline_svg import drawn_svg
from beamwise.report.panels import line
from beamwise.report.section import Chart

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")
DPI = 200
HEIGHT = 3.1
"""Inches that the axes are high, about."""
ROW, ROW_MARK, ROWS_FRAME = 0.15, 0.12, 0.7
"""Inches between the rows of a chart of dots, for each mark on a row, and around all."""
TITLE_LINE, LEGEND_LINE = 0.2, 0.19
HANDLE, LEGEND_WIDTH = 44, 72 * (WIDTH - 0.1)
"""Points beside the label of an entry of the legend, and of all of it."""
TITLE_CHARACTERS = 72
"""In a line of the title."""


def draw_chart(chart: Chart, path: Path) -> None:
    """Write a chart with its title, white behind it.

    Args:
        chart: What to draw.
        path: Image to write; its suffix chooses PNG or SVG.

    Raises:
        ValueError: If it has another suffix, or a value has no place on a logarithmic axis.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"cannot draw {path.name}: its name must end with .png or .svg")
    from matplotlib import rc_context

    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": chart.name}
    with rc_context(settings):
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        chart_figure(chart).savefig(path, dpi=DPI, metadata=metadata)


def chart_svg(chart: Chart, ink: str) -> str:
    """A chart to stand in a page, without title: transparent, `ink` for text and axes.

    Raises:
        ValueError: If a value has no place on a logarithmic axis.
    """
    return drawn_svg(lambda: chart_figure(chart, with_title=False), ink, chart.name)


def chart_figure(chart: Chart, *, with_title: bool = True) -> Figure:
    """A chart as matplotlib draws it.

    Raises:
        ValueError: If a value has no place on a logarithmic axis.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    title = fill(chart.title, TITLE_CHARACTERS) if with_title else ""
    handles = _handles(chart)
    columns = _legend_columns([str(handle.get_label()) for handle in handles])
    height = _axes_height(chart) + LEGEND_LINE * ceil(len(handles) / columns)
    height += TITLE_LINE * (title.count("\n") + 1 if title else 0)
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    axes = figure.subplots()
    MARKS[chart.kind](axes, chart)
    for level in levels_of(chart):
        _draw_level(axes, level, upright=chart.kind == "dots")
    frame(axes, chart)
    _head(figure, title, handles, columns)
    return figure


def _axes_height(chart: Chart) -> float:
    if chart.kind != "dots":
        return HEIGHT + room_below(chart)
    return ROWS_FRAME + len(places_of(chart) or ()) * (ROW + ROW_MARK * len(chart.series))


def _draw_level(axes: Axes, level: Level, *, upright: bool) -> None:
    draw = axes.axvline if upright else axes.axhline
    draw(level.value, color=level.colour, linestyle=level.dash, linewidth=1.2, zorder=1.5)


def _handles(chart: Chart) -> list[Artist]:
    """Entries of the legend; none where the axes say it all."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    entries: list[Artist] = []
    if not has_looks_of_places(chart) and len(chart.series) + len(chart.lines_at) > 1:
        for series, look in zip(chart.series, looks_of(chart), strict=True):
            if chart.kind == "bars":
                face = to_rgba(look.colour, FILL)
                entries.append(Patch(fc=face, ec=look.colour, hatch=look.hatch, label=series.name))
            else:
                dash = look.dash if chart.kind == "lines" else "solid"
                entries.append(line(series.name, look.colour, dash, marker=look.marker))
    levels = levels_of(chart)
    return entries + [line(each.label, each.colour, each.dash, linewidth=1.2) for each in levels]


def _legend_columns(labels: Sequence[str]) -> int:
    """As many as fit beside each other, each as wide as its longest entry."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path
    from numpy import array_split  # as matplotlib divides the entries

    font = FontProperties(size=SMALL)
    widths = [text_to_path.get_text_width_height_descent(each, font, False)[0] for each in labels]
    for most in range(len(labels), 1, -1):
        columns = ceil(len(labels) / ceil(len(labels) / most))  # rows about equally full
        longest = [max(column) for column in array_split(widths, columns)]
        if sum(longest) + columns * HANDLE <= LEGEND_WIDTH:
            return columns
    return 1


def _head(figure: Figure, title: str, handles: Sequence[Artist], columns: int) -> None:
    """Over the axes, where nothing is hidden: the title, and the legend below it."""
    bold = {"weight": "bold", "size": 10}
    if not handles:
        figure.suptitle(title, x=0.012, ha="left", **bold)
        return
    figure.legend(
        handles=list(handles),
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        title=title or None,
        title_fontproperties=bold,
        alignment="left",
        columnspacing=1.4,
        handlelength=2.8,
    )
