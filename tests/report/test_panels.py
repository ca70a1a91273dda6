"""The parts that panels share."""

import pytest
from matplotlib.figure import Figure

from beamwise.report.panels import (
    draw_shares,
    frame_shares,
    line,
    plain_numbers,
    say_not_measured,
    title,
)


@pytest.fixture
def axes():
    return Figure().subplots()


def test_line_is_a_legend_entry():
    entry = line("name", "#D55E00", "dashed", marker="o", linewidth=5)
    assert (entry.get_label(), entry.get_color(), entry.get_linestyle()) == (
        "name",
        "#D55E00",
        "--",
    )
    assert (entry.get_marker(), entry.get_linewidth()) == ("o", 5)


def test_title_with_a_line_beneath(axes):
    title(axes, "bold", legend=[line("a", "k"), line("b", "r")], subtitle="grey")
    assert axes.get_title(loc="left") == "bold"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert [text.get_text() for text in axes.texts] == ["grey"]


def test_no_legend_unless_given(axes):
    title(axes, "bold")
    assert axes.get_legend() is None


def test_shares_are_percent(axes):
    draw_shares(axes, [1.0, 0.25], "k", first=0)
    draw_shares(axes, [0.5], "k", "dashed")
    several, single = axes.lines
    assert list(several.get_xdata()) == [0, 1]
    assert list(several.get_ydata()) == [100, 25]
    assert list(single.get_xdata()) == [1]
    assert single.get_marker() == "_"  # else one point would not be seen


@pytest.mark.parametrize("last", [1, 4])
def test_frame_has_a_tick_at_every_place(axes, last):
    frame_shares(axes, range(1, last + 1))
    assert list(axes.get_xticks()) == list(range(1, last + 1))
    low, high = axes.get_xlim()
    assert low < 1
    assert high > max(last, 2)


@pytest.mark.parametrize(("highest", "expected"), [(5_000, {"1", "1,000"}), (9, {"1", "2", "5"})])
def test_numbers_are_plain(axes, highest, expected):
    axes.set(yscale="log", ylim=(0.9, highest))
    plain_numbers(axes.yaxis, highest)
    places = [tick for tick in axes.get_yticks() if 0.9 <= tick <= highest]
    shown = dict(zip(axes.get_yticks(), axes.get_yticklabels(), strict=True))
    labels = {shown[place].get_text() for place in places}
    assert expected <= labels
    assert "0" not in labels


def test_not_measured_is_said(axes):
    say_not_measured(axes, "bold")
    assert axes.get_title(loc="left") == "bold"
    assert "not measured" in " ".join(text.get_text() for text in axes.texts)
    assert list(axes.get_xticks()) == []


def test_numbers_below_one_and_short_spans_are_plain(axes):
    axes.set(yscale="log", ylim=(2e-5, 0.5))
    plain_numbers(axes.yaxis, 0.5, 2e-5)
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert {"1e-4", "0.001", "0.1"} <= set(shown)
    axes.set(ylim=(3.1, 4.5))
    plain_numbers(axes.yaxis, 4.5, 3.1)
    assert {"3.2", "4"} <= {label.get_text() for label in axes.get_yticklabels()}
