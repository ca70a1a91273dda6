"""Marks lie where the numbers say, each with its own interval, colour and place."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from beamwise.report.chart_marks import (
    draw_bars,
    draw_dots,
    draw_lines,
    has_looks_of_places,
    levels_of,
    looks_of,
    marks_of,
    place_text,
    places_of,
)
from beamwise.report.method_colours import METHODS
from beamwise.report.section import Axis, Chart, Estimate, Series, estimates

AXIS = Axis(label="a")


def chart(kind, *series, **settings):
    return Chart(name="c", title="C", kind=kind, x=AXIS, y=AXIS, series=series, **settings)


def intervals(axes):
    """The ends of what is drawn as intervals, upright ones by (x, low, high)."""
    return [
        (round(float(x), 6), round(float(low), 6), round(float(high), 6))
        for drawn in axes.collections
        for (x, low), (_, high) in drawn.get_segments()
    ]


def test_lines_join_the_means_and_have_intervals_that_need_not_hold_them():
    y = (Estimate(mean=0.1, low=0.2, high=0.4), Estimate(mean=0.3), Estimate(mean=2, low=1, high=3))
    axes = Figure().subplots()
    draw_lines(axes, chart("lines", Series(name="msl", x=(1, 5, 20), y=y)))
    (joined, *_) = axes.lines
    np.testing.assert_array_equal(joined.get_xydata(), [(1, 0.1), (5, 0.3), (20, 2)])
    assert intervals(axes) == [(1, 0.2, 0.4), (20, 1, 3)]
    assert (to_hex(joined.get_color()).upper(), joined.get_marker()) == METHODS["msl"][:2]
    low, high = axes.get_xlim()
    assert low < 1
    assert high > 20


@pytest.mark.parametrize(("low", "apart"), [(0.0, True), (None, False)])
def test_lines_with_intervals_stand_beside_each_other_and_others_do_not(low, apart):
    y = (Estimate(mean=1, low=low, high=None if low is None else 2),)
    both = [Series(name=name, x=(1,), y=y) for name in ("ce", "msl")]
    axes = Figure().subplots()
    draw_lines(axes, chart("lines", *both))
    joined = [line for line in axes.lines if line.get_marker() in "os"]
    first, second = (line.get_transform().transform((1, 1)) for line in joined)
    assert bool(second[0] > first[0]) is apart
    assert second[1] == pytest.approx(first[1])


def test_bars_stand_side_by_side_from_zero(bars):
    axes = Figure().subplots()
    draw_bars(axes, bars)
    drawn = [(bar.get_x(), bar.get_width(), bar.get_y(), bar.get_height()) for bar in axes.patches]
    expected = [(-0.4, 0.25), (0.6, 0.5), (0.0, 0.5), (1.0, 0.75)]  # ce, then msl
    np.testing.assert_allclose(drawn, [(x, 0.4, 0, height) for x, height in expected], atol=1e-12)
    assert intervals(axes) == [(0.2, 0.375, 0.625), (1.2, 0.5, 1.0)]
    assert [to_hex(bar.get_edgecolor()).upper() for bar in axes.patches[::2]] == [
        METHODS["ce"][0],
        METHODS["msl"][0],
    ]


def test_dots_lie_on_rows_with_the_values_to_the_right():
    values = (Estimate(mean=0.5, low=0.25, high=1.0), Estimate(mean=0.75))
    both = [Series(name=name, x=("a", "b"), y=values) for name in ("beam search", "exact search")]
    axes = Figure().subplots()
    draw_dots(axes, chart("dots", *both))
    points = [tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() in "os"]
    np.testing.assert_allclose(points, [(0.5, -0.2), (0.75, 0.8), (0.5, 0.2), (0.75, 1.2)])
    spans = [each.get_segments()[0][:, 0].tolist() for each in axes.collections]
    assert spans == [[0.25, 1.0]] * 2


def test_places_are_those_of_all_series_in_order():
    first = Series(name="a", x=("R@20", "R@10"), y=estimates([1.0, 2.0]))
    second = Series(name="b", x=("N@5", "R@10"), y=estimates([3.0, 4.0]))
    assert places_of(chart("bars", first, second)) == ["R@20", "R@10", "N@5"]
    marks = marks_of(chart("bars", first, second))
    assert [round(mark.place) for mark in marks] == [0, 1, 2, 1]


def test_numbers_are_places_of_bars_in_their_order_and_an_axis_of_lines():
    some = Series(name="a", x=(20, 5e-5, 1000), y=estimates([1.0, 2.0, 3.0]))
    assert places_of(chart("bars", some)) == ["5e-5", "20", "1,000"]
    assert [mark.place for mark in marks_of(chart("bars", some))] == [1, 0, 2]
    assert places_of(chart("lines", some)) is None
    assert place_text(20) == "20"


def test_a_single_series_has_the_looks_of_the_methods_that_it_names():
    values = estimates([1.0, 2.0])
    by_place = chart("dots", Series(name="recall", x=("ce", "apao-pairwise"), y=values))
    assert has_looks_of_places(by_place)
    assert [mark.look for mark in marks_of(by_place)] == [
        METHODS["ce"],
        METHODS["apao-pairwise"],
    ]
    own = Series(name="recall", method="msl", x=("ce", "dpo"), y=values)
    assert not has_looks_of_places(chart("dots", own))
    assert {mark.look for mark in marks_of(chart("dots", own))} == {METHODS["msl"]}
    assert not has_looks_of_places(chart("bars", Series(name="r", x=("K 1", "K 2"), y=values)))


def test_a_dash_that_is_given_goes_before_that_of_methods_which_share_a_colour():
    x, y = (1,), estimates([1.0])
    shared = [Series(name=name, x=x, y=y) for name in ("bear", "bear-hinge")]
    assert [look.dash for look in looks_of(chart("lines", *shared))] == ["solid", "dashed"]
    dotted = shared[0].model_copy(update={"dash": "dotted"})
    assert [look.dash for look in looks_of(chart("lines", dotted, shared[1]))] == [
        "dotted",
        "solid",
    ]


def test_lines_across_have_their_methods_colour_and_differ():
    names = {"ce": 0.1, "paper, ce": 0.2, **{f"value {n}": float(n) for n in range(8)}}
    levels = levels_of(chart("lines", Series(name="a", x=(), y=()), lines_at=names))
    assert [level.value for level in levels] == list(names.values())
    assert levels[0].colour == METHODS["ce"][0]
    assert len({(level.colour, level.dash) for level in levels}) == len(names)
    assert all(level.dash != "solid" for level in levels)
