"""The axes of a chart: scales, units, ticks, and names of places that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log, radians, sin
from textwrap import fill
from typing import TYPE_CHECKING, Literal

from beamwise.report.chart_marks import place_text, places_of
from beamwise.report.numbers import LARGE, plain
from beamwise.report.panels import GREY, plain_numbers
from beamwise.report.section import Axis, Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 6.4
"""Inches of a chart."""
CHARACTER = 0.068
"""Inches of a letter of a label, about."""
ROW_CHARACTERS, PLACE_CHARACTERS, ASLANT_CHARACTERS = 34, 76, 28
"""In a line of a row's name, of all places side by side, and of a place's name aslant."""
MOST_LINES, SLANT = 3, 30
"""Of a place's name; one that needs more is written aslant, by so many degrees."""
MOST_TICKS = 12
SMALL, MEDIUM = 8.5, 9
"""Points of numbers and names, and of what an axis shows."""


def frame(axes: Axes, chart: Chart) -> None:
    """Scales, labels and ticks of both axes, and a grid across the values."""
    values: Literal["x", "y"] = "x" if chart.kind == "dots" else "y"
    _scale(axes, values, chart.y, _numbers(chart), chart.name)
    names = places_of(chart)
    if chart.kind == "dots":
        _name_rows(axes, names or [], chart.x.label)
    elif names is not None:
        _name_places(axes, chart)
    else:
        places = [float(place) for series in chart.series for place in series.x]
        _scale(axes, "x", chart.x, places, chart.name)
        _tick_at(axes, sorted(set(places)), chart.x)
    axes.grid(axis=values, color=GREY, alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)


def _numbers(chart: Chart) -> list[float]:
    """All that the axis of values shows, ends of intervals left out."""
    means = [value.mean for series in chart.series for value in series.y]
    return [*means, *chart.lines_at.values()]


def _scale(
    axes: Axes, which: Literal["x", "y"], axis: Axis, numbers: Sequence[float], name: str
) -> None:
    """An axis of numbers: linear or logarithmic, plain or in percent."""
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    drawn = axes.xaxis if which == "x" else axes.yaxis
    drawn.set_label_text(axis.label, fontsize=MEDIUM)
    if axis.log:
        low, high = min(numbers, default=1.0), max(numbers, default=1.0)
        if low <= 0:
            raise ValueError(
                f"chart {name}: {low:g} has no place on the logarithmic axis of {axis.label!r}: "
                "all values must be above 0, or the axis linear"
            )
        axes.set(**{f"{which}scale": "log"})
        plain_numbers(drawn, high, low)
    elif max(map(abs, numbers), default=0) >= LARGE:
        drawn.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    else:
        formatter = ScalarFormatter(useOffset=False)
        formatter.set_scientific(False)
        drawn.set_major_formatter(formatter)
    if axis.percent:
        drawn.set_major_formatter(FuncFormatter(lambda value, _: _percent(value)))
    if axis.from_zero and min(numbers, default=0) >= 0:
        axes.set(**{f"{which}lim": (0, None)})


def _percent(value: float) -> str:
    return f"{plain(round(100 * value, 6))} %"  # ticks at 0 may be 1e-17


def _tick_at(axes: Axes, places: Sequence[float], axis: Axis) -> None:
    """A tick at each place, where they are few and their numbers have room."""
    from matplotlib.ticker import NullLocator

    labels = [_percent(place) if axis.percent else place_text(place) for place in places]
    along = [log(place) if axis.log else place for place in places]
    if not 2 <= len(places) <= MOST_TICKS:
        return
    nearest = min(b - a for a, b in pairwise(along)) / (along[-1] - along[0])
    if nearest * WIDTH >= CHARACTER * (max(map(len, labels)) + 3):
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(places, labels)


def _name_rows(axes: Axes, names: Sequence[str], label: str) -> None:
    axes.set_yticks(range(len(names)), [fill(name, ROW_CHARACTERS) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_ylabel(label, fontsize=MEDIUM)


def room_below(chart: Chart) -> float:
    """Inches that the names of places take where they are written aslant."""
    shown, is_aslant = _shown_places(chart)
    if not is_aslant:
        return 0.0
    longest = max(len(line) for name in shown for line in name.splitlines())
    return longest * CHARACTER * sin(radians(SLANT))


def _shown_places(chart: Chart) -> tuple[list[str], bool]:
    """Names in lines that fit beside each other, or longer ones to be written aslant."""
    names = [] if chart.kind == "dots" else places_of(chart) or []
    room = max(1, PLACE_CHARACTERS // max(1, len(names)))
    wrapped = [fill(name, room, break_long_words=False) for name in names]
    lines = [text.splitlines() for text in wrapped]
    if all(len(each) <= MOST_LINES and max(map(len, each), default=0) <= room for each in lines):
        return wrapped, False
    return [fill(name, ASLANT_CHARACTERS) for name in names], True


def _name_places(axes: Axes, chart: Chart) -> None:
    """Names below the axis."""
    shown, is_aslant = _shown_places(chart)
    axes.set_xticks(range(len(shown)), shown)
    if is_aslant:
        axes.tick_params("x", rotation=SLANT)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    beside = 0.3 if chart.kind == "lines" else 0.6
    axes.set_xlim(-beside, len(shown) - 1 + beside)
    axes.set_xlabel(chart.x.label, fontsize=MEDIUM)
