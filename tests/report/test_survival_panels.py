"""Every panel draws one model and several, of one level or many, and says what it means."""

from __future__ import annotations

import math
from dataclasses import replace

import polars as pl
import pytest
from matplotlib.axes import Axes
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


def draw(heading: str, survival=SURVIVAL) -> Axes:
    axes = Figure().subplots()
    panel = next(each for each in PANELS if each.heading == heading)
    panel.draw(axes, {"a": survival}, COLOURS)
    return axes


def lines(heading: str) -> list[list[float]]:
    return [list(line.get_ydata()) for line in draw(heading).lines]


def test_prefix_recall_is_that_of_the_counts():
    kept = SURVIVAL.beam.kept_targets
    assert lines("Prefix recall")[0] == pytest.approx([100 * count / 60 for count in kept])


def test_retention_begins_with_everything():
    retention = [1.0, *SURVIVAL.retention(SURVIVAL.beam)]
    drawn = lines("Retention of the true best items")
    assert drawn[0] == pytest.approx([100 * share for share in retention])
    assert len(drawn) == 2  # and a wider beam's


def ticks(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def legend(axes: Axes) -> list[str]:
    drawn = axes.get_legend()
    assert drawn is not None
    return [text.get_text() for text in drawn.get_texts()]


def test_quality_is_recall_of_all_k_results_where_the_beam_returns_k():
    axes = draw("Quality by beam width")
    beam, exact = (list(line.get_ydata()) for line in axes.lines)
    assert axes.get_ylabel() == "recall@4"
    assert ticks(axes) == ["4", "8", "16"]
    assert beam == [SURVIVAL.of_width(width).mean("recall@4") for width in (4, 8, 16)]
    assert set(exact) == {SURVIVAL.exact["recall@4"]}


def test_proofs_are_of_beams_that_return_k():
    axes = draw("Returned and proved")
    assert ticks(axes) == ["4", "8", "16"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[4, 8, 16]] * 2


def test_the_legend_names_the_next_width_that_was_measured():
    heading = "Retention of the true best items"
    assert legend(draw(heading))[1] == "beam of 8"
    without = tuple(each for each in SURVIVAL.widths if each.width != 8)  # as in a small catalog
    assert legend(draw(heading, replace(SURVIVAL, widths=without)))[1] == "beam of 16"


def nothing_lost():
    widths = tuple(replace(w, pruned_at=(0,) * 3, outscored_at=(0,) * 3) for w in SURVIVAL.widths)
    return replace(SURVIVAL, widths=widths)


def no_margins():
    infinite = {f"margin_{level}": pl.lit(math.inf) for level in (1, 2, 3)}
    return replace(SURVIVAL, per_user=SURVIVAL.per_user.with_columns(**infinite))


def few_within():
    return replace(SURVIVAL, widths=tuple(replace(w, within=19) for w in SURVIVAL.widths))


@pytest.mark.parametrize(
    ("heading", "survival", "words"),
    [
        ("Where targets are lost", nothing_lost(), "No target was lost"),
        ("Margin of the target's prefix", no_margins(), "No level has more prefixes"),
        ("Time by beam width", replace(SURVIVAL, times={}), "No search was timed"),
        ("Pruned although in the best B", few_within(), "For no width B are 20 targets"),
    ],
)
def test_a_panel_without_data_says_so(heading, survival, words):
    axes = draw(heading, survival)
    assert words in " ".join(text.get_text() for text in axes.texts)
    assert ticks(axes) == []
    assert axes.get_legend() is None


def test_a_report_without_wider_beams_or_times_is_drawn():
    config = EXAMPLE_SETTINGS.model_copy(update={"widths": (4,)})
    survival = example_survival(config=config)
    for panel in PANELS:
        axes = Figure().subplots()
        panel.draw(axes, {"a": survival}, COLOURS)
        assert axes.lines or axes.patches or axes.texts, panel.heading
