"""Sentences say what the counts say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from beamwise.evaluation.survival import SurvivalCounts
from beamwise.evaluation.survival_counts import SearchTime
from beamwise.evaluation.survival_measure import measure_survival
from beamwise.report.survival_text import MOST_NAMED, findings, percent
from beamwise.testing.run_choice import along_runs
from beamwise.testing.survival_example import EXAMPLE_SETTINGS, example_survival, random_windows
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles


def said(survival) -> dict[str, str]:
    return {each.heading: f"{each.text} {each.advice}" for each in findings(survival)}


def with_beam(**counts):
    """The example with other outcomes under the beam in question, and no other width."""
    survival = example_survival()
    outcomes = SurvivalCounts(**counts, best_leaves=240, retained_leaves=200)
    return replace(survival, widths=(replace(survival.beam, outcomes=outcomes),))


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


def test_no_search_is_advised_that_would_find_fewer():
    # Exact search would return 130 of the 160 that the beam returns.
    missed = said(with_beam(found=100, pruned=30, promoted=60, outscored=170))["What was missed"]
    assert (
        "a perfect search wins nothing, since for the 30 pruned it would give up the 60" in missed
    )
    assert "Improve the model:" in missed
    assert "Search better" not in missed


def test_what_a_perfect_search_wins_is_less_what_it_gives_up():
    # 30 pruned of 200 misses are 15 %, but 30 - 20 only 5 %.
    missed = said(with_beam(found=80, pruned=30, promoted=20, outscored=170))["What was missed"]
    assert (
        "a perfect search could win back 5.0 % of the misses at most, 30 targets less the 20"
        in (missed)
    )


def test_a_wider_beam_may_lose_more():
    text = said(with_outcomes(example_survival(), [20, 20, 21, 4]))["How wide a beam"]
    assert "width 8 loses 5.0 % more, 16 wins back 80 %" in text


def test_no_miss_is_no_division_by_zero():
    survival = example_survival()
    outcomes = SurvivalCounts(found=60, best_leaves=240, retained_leaves=240)
    widths = tuple(replace(each, outcomes=outcomes) for each in survival.widths)
    assert "It missed none" in said(replace(survival, widths=widths))["What was missed"]


def test_retired_targets_are_named():
    survival = example_survival()
    per_user = survival.per_user.with_columns(reachable=survival.per_user["row"] > 2)
    text = said(replace(survival, per_user=per_user))["What was missed"]
    assert "3 of the out-scored are retired or of probability zero: no search finds them" in text


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


def test_titles_are_told_of_by_tokens():
    catalog = random_titles(1, num_items=60, num_words=10)
    backbone = TableBackbone(catalog.vocab_size, seed=1)
    with along_runs():
        survival = measure_survival(backbone, random_windows(60, 40), catalog, EXAMPLE_SETTINGS)
    found = {each.heading: each for each in findings(survival)}
    kept = found["What the beam keeps of the best items"]
    named = [level.name for level in survival.told_levels]
    assert len(named) > MOST_NAMED + 1
    assert kept.text.count(" after token ") == MOST_NAMED
    assert "Most are lost at token " in kept.advice
    losses = found["Where targets are lost"].text
    assert f" of {survival.num_levels}" in losses
    assert any(f"happen at token {name} " in losses for name in named)


def test_what_titles_lose_among_whole_items_is_lost_at_the_end():
    """A beam of 20 still holds 27 of 38 missed targets when it cuts its items to the best two."""
    catalog = random_titles(1, num_items=60, num_words=10)
    backbone = TableBackbone(catalog.vocab_size, seed=1)
    settings = EXAMPLE_SETTINGS.model_copy(update={"ks": (1, 2), "beam_width": 20, "widths": (20,)})
    with along_runs():
        survival = measure_survival(backbone, random_windows(60, 40), catalog, settings)
    found = {each.heading: each for each in findings(survival)}
    assert (
        "71 % of all losses happen at the end, among whole items, where"
        in found["Where targets are lost"].text
    )
