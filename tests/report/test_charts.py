"""Charts as pictures: all text is there, the legend hides nothing, equal data give equal files."""

import re
from xml.etree import ElementTree

import pytest

from beamwise.report.charts import chart_figure, chart_svg, draw_chart
from beamwise.report.section import Axis, Chart, Estimate, Series, estimates

LONG = "a method with a long name, second stage of number"


def texts(svg):
    """What an SVG file writes."""
    root = ElementTree.fromstring(svg)
    return {"".join(each.itertext()).strip() for each in root.iter() if each.tag.endswith("text")}


def lines(num_series, name="series"):
    y = (Estimate(mean=0.3, low=0.2, high=0.4), Estimate(mean=0.6, low=0.5, high=0.7))
    return Chart(
        name="c",
        title="Recall against beam width, " * 5,
        kind="lines",
        x=Axis(label="beam width K", log=True),
        y=Axis(label="recall@20", percent=True),
        series=tuple(Series(name=f"{name} {n}", x=(1, 20), y=y) for n in range(num_series)),
        lines_at={"ce": 0.5},
    )


def test_text_of_every_part_is_in_the_file_as_text(bars, tmp_path):
    draw_chart(bars, tmp_path / "chart.svg")
    written = texts((tmp_path / "chart.svg").read_text())
    names = {"metric", "value of the metric", "R@10", "R@20", "ce", "msl", "paper"}
    assert {*names, "Quality <of> methods"} <= written


def test_equal_charts_give_equal_files(bars, tmp_path):
    for suffix in (".png", ".svg"):
        first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
        draw_chart(bars, first)
        draw_chart(bars, second)
        assert first.read_bytes() == second.read_bytes()
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")


def test_other_formats_are_refused(bars, tmp_path):
    with pytest.raises(ValueError, match=r"cannot draw chart\.jpg: its name must end with \.png"):
        draw_chart(bars, tmp_path / "chart.jpg")


def test_a_chart_in_a_page_has_no_title_and_the_ink_of_the_page(bars):
    svg = chart_svg(bars, "#123456")
    assert "Quality <of> methods" not in texts(svg)
    assert {"ce", "msl", "paper", "metric"} <= texts(svg)
    fills = re.findall(r'<text style="[^"]*fill: (#\w+)', svg)
    assert fills
    assert set(fills) == {"#123456"}


@pytest.mark.parametrize(("num_series", "name"), [(1, "a"), (4, "series"), (12, LONG)])
def test_legend_and_title_hide_nothing_and_are_not_cut_off(num_series, name):
    figure = chart_figure(lines(num_series, name))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == num_series + 1
    whole, axes, head = figure.bbox, figure.axes[0].get_window_extent(), legend.get_window_extent()
    assert head.y0 >= axes.y1
    assert head.x0 >= whole.x0
    assert head.x1 <= whole.x1
    assert head.y1 <= whole.y1
    assert axes.height > 0.5 * 3.1 * figure.dpi  # as high as without a legend, nearly
    for text in (*legend.get_texts(), legend.get_title()):
        assert text.get_window_extent().x1 <= whole.x1


def test_twelve_series_all_look_different():
    figure = chart_figure(lines(12))
    (legend,) = figure.legends
    drawn = {
        (entry.get_color(), entry.get_marker(), entry.get_linestyle())
        for entry in legend.legend_handles
    }
    assert len(drawn) == 13


def test_levels_lie_across_the_values(bars):
    level = [line for line in chart_figure(bars).axes[0].lines if line.get_linestyle() == "--"]
    assert [list(line.get_ydata()) for line in level] == [[0.4, 0.4]]
    dots = bars.model_copy(update={"kind": "dots"})
    level = [line for line in chart_figure(dots).axes[0].lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in level] == [[0.4, 0.4]]


def test_axes_alone_say_what_a_single_series_is(bars):
    alone = bars.model_copy(update={"series": bars.series[:1], "lines_at": {}})
    figure = chart_figure(alone)
    assert figure.legends == []
    assert figure.get_suptitle() == alone.title


def test_methods_named_by_rows_are_not_named_twice():
    series = (Series(name="recall", x=("ce", "msl"), y=estimates([0.1, 0.2])),)
    axis = Axis(label="a")
    chart = Chart(
        name="c", title="C", kind="dots", x=axis, y=axis, series=series, lines_at={"paper": 0.1}
    )
    (legend,) = chart_figure(chart).legends
    assert [text.get_text() for text in legend.get_texts()] == ["paper"]


def test_more_rows_make_a_chart_of_dots_higher():
    def height(num_rows):
        names = tuple(f"row {n}" for n in range(num_rows))
        series = (Series(name="a", x=names, y=estimates([0.1] * num_rows)),)
        axis = Axis(label="a")
        chart = Chart(name="c", title="C", kind="dots", x=axis, y=axis, series=series)
        return chart_figure(chart).get_figheight()

    assert height(12) - height(6) == pytest.approx(height(18) - height(12))
    assert height(12) > height(6) + 1
