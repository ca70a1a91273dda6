"""Sentences say what the counts say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from beamwise.evaluation.survival import SurvivalCounts
from beamwise.evaluation.survival_counts import SearchTime
from beamwise.report.survival_text import findings, percent
from beamwise.testing.survival_example import example_survival


def said(survival) -> dict[str, str]:
    return {each.heading: f"{each.text} {each.advice}" for each in findings(survival)}


def with_outcomes(survival, pruned_by_width):
    """The example with other outcomes of its 60 users at each width."""
    widths = []
    for counts, pruned in zip(survival.widths, pruned_by_width, strict=True):
        outcomes = SurvivalCounts(
            found=30 - pruned, pruned=pruned, outscored=30, best_leaves=240, retained_leaves=200
        )
        widths.append(replace(counts, outcomes=outcomes))
    return replace(survival, widths=tuple(widths))


def test_misses_are_split_and_wider_beams_win_back():
    text = said(with_outcomes(example_survival(), [20, 10, 4, 0]))
    missed = text["What was missed"]
    assert "Of 60 targets a beam of 4 returned 20 (33 %) among its best 4" in missed
    assert "Of the 40 misses, 10 (25 %) were pruned" in missed
    assert "The other 30 (75 %) were out-scored" in missed
    assert "Search better first" in missed
    assert "width 8 wins back 60 %, 16 wins back 100 %" in text["How wide a beam"]


def test_a_model_that_loses_nothing_is_told_so():
    assert (
        "only a better model helps"
        in said(with_outcomes(example_survival(), [0] * 4))["What was missed"]
    )


def test_few_pruned_targets_point_at_the_model():
    missed = said(with_outcomes(example_survival(), [4, 2, 1, 0]))["What was missed"]
    assert "Improve the model first: a perfect search could win back 6.2 %" in missed


def test_no_miss_is_no_division_by_zero():
    survival = example_survival()
    outcomes = SurvivalCounts(found=60, best_leaves=240, retained_leaves=240)
    widths = tuple(replace(each, outcomes=outcomes) for each in survival.widths)
    assert "It missed none" in said(replace(survival, widths=widths))["What was missed"]


def test_retired_targets_are_named():
    survival = example_survival()
    per_user = survival.per_user.with_columns(reachable=survival.per_user["row"] > 2)
    text = said(replace(survival, per_user=per_user))["What was missed"]
    assert "3 of the out-scored are retired items" in text


def test_a_simulation_that_is_not_the_search_is_a_warning():
    times = {"4": SearchTime(1.0, 100, 50)}
    text = said(replace(example_survival(), times=times))
    assert "Do not rely on this report" in text["Warning: figures and searches disagree"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.0234, "2.3 %"), (0.234, "23 %"), (0.9996, "100.0 %")],
)
def test_percent(share, text):
    assert percent(share) == text
