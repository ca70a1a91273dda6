"""The picture shows every method's interval where its figures say."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from beamwise.report.objective_comparison_plot import plot_comparison


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figures = []
    original = Figure.savefig

    def savefig(self, *arguments, **settings):
        figures.append(self)
        original(self, *arguments, **settings)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


def lines(axes, colour):
    """The x values of what is drawn in a colour, in order."""
    drawn = [each for each in axes.lines if each.get_color() == colour]
    return [tuple(round(float(x), 4) for x in each.get_xdata()) for each in drawn]


def test_intervals_and_middles(compared, drawn, tmp_path):
    plot_comparison(compared, tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 10_000
    values, causes = drawn[0].axes
    assert lines(values, "#0072B2") == [(0.09, 0.12), (0.1,)] * 3
    assert lines(values, "#D55E00") == [(0.19, 0.22), (0.2,)] * 3
    # The baseline has no difference to itself: two methods, model and survival.
    assert lines(causes, "#009E73") == [(0.026, 0.035), (0.03,), (-0.014, -0.005), (-0.01,)]
    assert lines(causes, "#CC79A7") == [(-0.024, -0.015), (-0.02,), (0.016, 0.025), (0.02,)]
    names = [label.get_text() for label in values.get_yticklabels()]
    assert names == ["ce (2)", "tuned (2)", "later (2)"]


def test_a_baseline_alone_is_drawn(compared, drawn, tmp_path):
    plot_comparison(replace(compared, methods=compared.methods[:1]), tmp_path / "report.png")
    assert lines(drawn[0].axes[1], "#009E73") == []
