"""Axes say what they show, in numbers and names that can be read."""

import pytest
from matplotlib.figure import Figure

from beamwise.report.chart_axes import frame, room_below
from beamwise.report.chart_marks import MARKS
from beamwise.report.section import Axis, Chart, Series, estimates


def framed(kind, x_axis, y_axis, x, y, **settings):
    series = (Series(name="a", x=x, y=estimates(y)),)
    chart = Chart(name="c", title="", kind=kind, x=x_axis, y=y_axis, series=series, **settings)
    figure = Figure(figsize=(6.4, 3))
    axes = figure.subplots()
    MARKS[kind](axes, chart)
    frame(axes, chart)
    figure.draw_without_rendering()
    return axes


def shown(axis):
    """The labels of ticks within the limits."""
    low, high = sorted(axis.get_view_interval())
    return [
        label.get_text()
        for tick, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
        if low <= tick <= high
    ]


PLAIN = Axis(label="plain")


def test_logarithmic_places_have_a_tick_each_in_plain_numbers():
    axes = framed("lines", Axis(label="eta", log=True), PLAIN, (5e-5, 1e-3, 10), [0.1, 0.2, 0.3])
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "eta"
    assert shown(axes.xaxis) == ["5e-5", "0.001", "10"]


def test_places_that_are_close_have_ticks_of_the_axis():
    axes = framed("lines", PLAIN, PLAIN, (1, 2, 3, 1000), [0.1, 0.2, 0.3, 0.4])
    assert "2" not in shown(axes.xaxis)
    assert "1,000" in shown(axes.xaxis)


def test_percent():
    percent = Axis(label="kept", percent=True)
    axes = framed("lines", PLAIN, percent, (1, 2), [0.0, 0.2])
    assert {"0 %", "10 %", "20 %"} <= set(shown(axes.yaxis))
    both = Axis(label="kept", percent=True, log=True)
    axes = framed("lines", PLAIN, both, (1, 2), [0.01, 1.0])
    assert {"1 %", "10 %", "100 %"} <= set(shown(axes.yaxis))


def test_from_zero_where_nothing_is_below():
    from_zero = Axis(label="recall", from_zero=True)
    assert framed("lines", PLAIN, from_zero, (1, 2), [0.5, 0.6]).get_ylim()[0] == 0
    assert framed("lines", PLAIN, from_zero, (1, 2), [-0.5, 0.6]).get_ylim()[0] < -0.5
    assert framed("lines", PLAIN, PLAIN, (1, 2), [0.5, 0.6]).get_ylim()[0] > 0.4


def test_a_value_that_a_logarithmic_axis_cannot_show_is_named():
    with pytest.raises(ValueError, match="chart c: 0 has no place on the logarithmic axis of 's'"):
        framed("lines", PLAIN, Axis(label="s", log=True), (1, 2), [0.0, 0.6])


def test_rows_of_dots_are_named_from_top_to_bottom():
    axes = framed("dots", Axis(label="method"), Axis(label="recall"), ("ce", "b"), [0.5, 0.6])
    assert shown(axes.yaxis) == ["ce", "b"]
    assert axes.get_ylim() == (1.5, -0.5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("recall", "method")


def test_names_are_broken_in_lines_and_long_ones_aslant():
    names = tuple(f"Office, backbone number {number}" for number in range(4))
    axes = framed("bars", Axis(label="data"), PLAIN, names, [1.0] * 4)
    assert shown(axes.xaxis)[0] == "Office, backbone\nnumber 0"
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {0}
    axes = framed(
        "bars", Axis(label="data"), PLAIN, tuple(f"{n} unbreakable" for n in range(9)), [1.0] * 9
    )
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {30}


def test_names_aslant_have_room():
    def chart(names):
        series = (Series(name="a", x=names, y=estimates([1.0] * len(names))),)
        return Chart(name="c", title="", kind="bars", x=PLAIN, y=PLAIN, series=series)

    assert room_below(chart(("R@10", "R@20"))) == 0
    assert room_below(chart(tuple(f"unbreakable-name-of-{n}" for n in range(12)))) > 0.3


def test_a_chart_without_points_has_axes():
    axes = framed("lines", PLAIN, Axis(label="s", log=True), (), [])
    assert axes.get_ylabel() == "s"
