import re

import pytest

from beamwise.evaluation.survival import SurvivalCounts
from beamwise.report.survival_panels import PANELS
from beamwise.report.survival_plot import OUTCOMES, panel_svg, plot_report, plot_survival
from beamwise.testing.survival_example import example_survival

COUNTS = {
    "ce": SurvivalCounts(found=30, pruned=12, promoted=7, outscored=51),
    "apao": SurvivalCounts(found=41, pruned=3, promoted=2, outscored=54),
}


def test_every_count_and_run_is_drawn(tmp_path):
    path = tmp_path / "lost.svg"
    plot_survival(COUNTS, 10, path)
    text = path.read_text()
    drawn = re.findall(r"<!-- (.*?) -->", text)  # matplotlib repeats each text as a comment
    for name, counts in COUNTS.items():
        assert name in drawn
        assert {str(counts.found), str(counts.pruned), str(counts.promoted)} <= set(drawn)
    assert "Targets in the best 10" in drawn
    assert "share of 100 test targets (%)" in drawn
    for label, colour in OUTCOMES.values():
        assert label in drawn
        assert colour.lower() in text.lower()


def test_bars_are_as_long_as_their_shares(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    lengths = []
    barh = Axes.barh

    def spy(self, names, widths, **settings):
        lengths.append((settings["label"], list(widths), list(settings["left"])))
        return barh(self, names, widths, **settings)

    monkeypatch.setattr(Axes, "barh", spy)
    plot_survival(COUNTS, 10, tmp_path / "lost.png")
    assert [widths for _, widths, _ in lengths] == [[30, 41], [7, 2], [12, 3]]
    assert [left for _, _, left in lengths] == [[0, 0], [30, 41], [37, 43]]
    assert (tmp_path / "lost.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no counts to draw"):
        plot_survival({}, 10, tmp_path / "lost.png")


def test_a_report_is_one_picture_with_all_panels(tmp_path):
    report = example_survival()
    plot_report({"ce": report, "apao": report}, tmp_path / "report.svg")
    drawn = re.findall(r"<!-- (.*?) -->", (tmp_path / "report.svg").read_text())
    assert {panel.heading for panel in PANELS} <= set(drawn)
    assert {"ce", "apao"} <= set(drawn)


def test_a_report_on_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got 0 models"):
        plot_report({}, tmp_path / "report.png")


def test_a_panel_alone_has_text_in_the_colour_asked_for():
    svg = panel_svg(PANELS[0], {"ce": example_survival()}, "#123456")
    assert "#123456" in svg
    assert "after level" in svg
