"""The marks of a chart: joined points, bars, or points on named rows, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from beamwise.report.method_colours import DASHES, Look, colour_of, family_of, looks
from beamwise.report.numbers import plain
from beamwise.report.panels import COLOURS, GREY, Dash
from beamwise.report.section import Chart, Estimate, Series

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MARKER_SIZE = 5
CAP = 2.2
"""Points from the middle of an interval's end to its side."""
SPREAD, FARTHEST = 14, 3
"""Points over which lines at the same place stand apart, and the most between two of them."""
GROUP = 0.8
"""Of the distance between places, what bars or points at one of them take."""
FILL = 0.5
"""Opacity of a bar, through which its interval is seen."""


class Mark(NamedTuple):
    """One value of a chart whose places have names."""

    place: float
    """Number of the place, from 0, moved to stand beside the other series."""
    value: Estimate
    look: Look


class Level(NamedTuple):
    """A line across a chart."""

    label: str
    value: float
    colour: str
    dash: Dash


def places_of(chart: Chart) -> list[str] | None:
    """The names of the places in order; None where they are numbers along an axis."""
    given = [place for series in chart.series for place in series.x]
    is_named = any(isinstance(place, str) for place in given)
    if chart.kind == "lines" and not is_named:
        return None
    numbers = [place for place in given if not isinstance(place, str)]
    ordered = given if is_named or chart.kind == "dots" else sorted(numbers)
    return list(dict.fromkeys(map(place_text, ordered)))


def place_text(place: float | int | str) -> str:
    """A place as its axis names it."""
    return place if isinstance(place, str) else plain(float(place))


def looks_of(chart: Chart) -> list[Look]:
    """The look of each series; a dash that the chart gives goes before that of its method."""
    found = looks([series.method or series.name for series in chart.series])
    if all(series.dash == "solid" for series in chart.series):
        return found
    return [
        look._replace(dash=series.dash) for look, series in zip(found, chart.series, strict=True)
    ]


def has_looks_of_places(chart: Chart) -> bool:
    """Whether marks look like their places: a single series names methods or searches there."""
    return (
        chart.kind != "lines"
        and len(chart.series) == 1
        and not chart.series[0].method
        and any(family_of(place) for place in places_of(chart) or ())
    )


def levels_of(chart: Chart) -> list[Level]:
    """The lines across a chart, a method's in its colour, no two the same."""
    found: list[Level] = []
    for label, value in chart.lines_at.items():
        own = colour_of(label) or GREY
        taken = [(level.colour, level.dash) for level in found]
        dashes = [dash for _, dash in taken]
        pairs: list[tuple[str, Dash]] = [
            (colour, dash) for colour in (own, GREY, *COLOURS) for dash in DASHES[1:]
        ]
        colour, dash = min(pairs, key=lambda pair: (pair in taken, dashes.count(pair[1])))
        found.append(Level(label, value, colour, dash))
    return found


def draw_lines(axes: Axes, chart: Chart) -> None:
    """Points joined by lines; intervals at the same place stand side by side."""
    names = places_of(chart)
    has_intervals = any(value.low is not None for each in chart.series for value in each.y)
    apart = min(FARTHEST, SPREAD / len(chart.series)) if has_intervals else 0
    for place, (series, look) in enumerate(zip(chart.series, looks_of(chart), strict=True)):
        x = _positions(series, names)
        (joined,) = axes.plot(
            x,
            [value.mean for value in series.y],
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.6,
            marker=look.marker,
            markersize=MARKER_SIZE,
        )
        artists = [joined, *_draw_intervals(axes, x, series.y, look.colour)]
        _move(axes, artists, apart * (place - (len(chart.series) - 1) / 2))


def draw_bars(axes: Axes, chart: Chart) -> None:
    """Bars from 0 beside each other at each place."""
    from matplotlib import rcParams
    from matplotlib.colors import to_rgba

    for place, value, look in marks_of(chart):
        axes.bar(
            place,
            value.mean,
            width=GROUP / len(chart.series),
            facecolor=to_rgba(look.colour, FILL),
            edgecolor=look.colour,
            hatch=look.hatch,
        )
        _draw_intervals(axes, [place], [value], rcParams["text.color"])


def draw_dots(axes: Axes, chart: Chart) -> None:
    """A row a place, points to the right; those of the same row stand one below the other."""
    for place, value, look in marks_of(chart):
        axes.plot(
            [value.mean], [place], color=look.colour, marker=look.marker, markersize=MARKER_SIZE + 1
        )
        _draw_intervals(axes, [place], [value], look.colour, upright=False)


MARKS = {"lines": draw_lines, "bars": draw_bars, "dots": draw_dots}
"""What draws each kind of chart."""


def marks_of(chart: Chart) -> list[Mark]:
    """Every value of a chart whose places have names, series by series."""
    names = places_of(chart) or []
    by_place = looks(names) if has_looks_of_places(chart) else None
    step = GROUP / len(chart.series)
    marks = []
    for number, (series, look) in enumerate(zip(chart.series, looks_of(chart), strict=True)):
        shift = step * (number - (len(chart.series) - 1) / 2)
        for place, value in zip(_positions(series, names), series.y, strict=True):
            marks.append(Mark(place + shift, value, by_place[int(place)] if by_place else look))
    return marks


def _positions(series: Series, names: Sequence[str] | None) -> list[float]:
    if names is None:
        return [float(place) for place in series.x]
    return [float(names.index(place_text(place))) for place in series.x]


def _move(axes: Axes, artists: Sequence[Artist], points: float) -> None:
    """Move what is drawn so many points to the right; the axes keep the limits of the data."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None
    moved = axes.transData + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)
    for artist in artists:
        artist.set_transform(moved)


def _draw_intervals(
    axes: Axes,
    places: Sequence[float],
    values: Sequence[Estimate],
    colour: str,
    *,
    upright: bool = True,
) -> list[Artist]:
    """A line from the low to the high end of each interval, wherever the mean lies."""
    drawn: list[Artist] = []
    for place, value in zip(places, values, strict=True):
        if value.low is None or value.high is None:
            continue
        middle, half = (value.low + value.high) / 2, (value.high - value.low) / 2
        interval = axes.errorbar(
            place if upright else middle,
            middle if upright else place,
            yerr=half if upright else None,
            xerr=None if upright else half,
            fmt="none",
            ecolor=colour,
            elinewidth=1.1,
            capsize=CAP,
        )
        drawn.extend(interval.get_children())
    return drawn
