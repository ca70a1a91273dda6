"""Every panel draws one model and several, of one level or many, and says what it means."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from beamwise.report.survival_panels import PANELS
from beamwise.testing.survival_example import EXAMPLE_SETTINGS, example_survival

SURVIVAL = example_survival()
COLOURS = {"a": "#0072B2", "b": "#D55E00"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.heading)
@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_every_panel_has_axes_labels_and_marks_for_each_model(panel, names):
    axes = Figure().subplots()
    panel.draw(axes, dict.fromkeys(names, SURVIVAL), COLOURS)
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    assert axes.lines or axes.patches
    assert len(panel.meaning) > 80


def lines(heading: str) -> list[list[float]]:
    axes = Figure().subplots()
    panel = next(each for each in PANELS if each.heading == heading)
    panel.draw(axes, {"a": SURVIVAL}, COLOURS)
    return [list(line.get_ydata()) for line in axes.lines]


def test_prefix_recall_is_that_of_the_counts():
    kept = SURVIVAL.beam.kept_targets
    assert lines("Prefix recall")[0] == pytest.approx([100 * count / 60 for count in kept])


def test_retention_begins_with_everything():
    retention = [1.0, *SURVIVAL.beam.retention()]
    drawn = lines("Retention of the true best items")
    assert drawn[0] == pytest.approx([100 * share for share in retention])
    assert len(drawn) == 2  # and a wider beam's


def test_a_report_without_wider_beams_or_times_is_drawn():
    config = EXAMPLE_SETTINGS.model_copy(update={"widths": (4,)})
    survival = example_survival(config=config)
    for panel in PANELS:
        panel.draw(Figure().subplots(), {"a": survival}, COLOURS)
