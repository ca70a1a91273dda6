"""The picture shows every method's interval where its figures say."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from beamwise.report.objective_comparison_plot import BEAM, EXACT, SURVIVAL, plot_comparison


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


def lines(axes, look):
    """The x values of what is drawn in a colour, in order, but for markers of another form."""
    drawn = [
        each
        for each in axes.lines
        if each.get_color() == look.colour and each.get_marker() in (look.marker, "None")
    ]
    return [tuple(round(float(x), 4) for x in each.get_xdata()) for each in drawn]


def test_intervals_and_middles(compared, drawn, tmp_path):
    plot_comparison(compared, tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 10_000
    values, causes = drawn[0].axes
    assert lines(values, BEAM) == [(0.09, 0.12), (0.1,)] * 3
    baseline = (0.1, 0.1)
    assert lines(values, EXACT) == [*[(0.19, 0.22), (0.2,)] * 3, baseline]
    # The baseline has no difference to itself: two methods, model and survival.
    zero = (0.0, 0.0)
    assert lines(causes, EXACT) == [(0.026, 0.035), (0.03,), (-0.014, -0.005), (-0.01,), zero]
    assert lines(causes, SURVIVAL) == [(-0.024, -0.015), (-0.02,), (0.016, 0.025), (0.02,)]
    names = [label.get_text() for label in values.get_yticklabels()]
    assert names == ["ce (2)", "tuned (2)", "later (2)"]
    assert values.get_xlabel() == "recall@10 by semantic ID, 1,234 test targets"


def test_what_counts_is_called_what_it_is(compared, drawn, tmp_path):
    plot_comparison(replace(compared, leaves="title"), tmp_path / "report.png")
    for axes in drawn[0].axes:
        assert axes.get_xlabel() == "recall@10 by title, 1,234 test targets"


def test_a_baseline_alone_is_drawn(compared, drawn, tmp_path):
    plot_comparison(replace(compared, methods=compared.methods[:1]), tmp_path / "report.png")
    assert lines(drawn[0].axes[1], SURVIVAL) == []
