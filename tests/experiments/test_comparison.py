"""The rows of a comparison, on evaluations written by hand."""

from dataclasses import replace

import polars as pl
import pytest

from beamwise.evaluation import Evaluation, EvaluationConfig, SurvivalCounts
from beamwise.evaluation.baselines import PopularityConfig
from beamwise.experiments.comparison import Row, comparison


def evaluation(recall: float, survival: SurvivalCounts | None = None) -> Evaluation:
    config = EvaluationConfig(ks=(5,), beam_width=5, full_sort=survival is not None)
    summary = {"users": 10, "exact": 0.25, "recall@5": recall, "ndcg@5": recall / 2}
    if survival is not None:
        summary |= {"recall@5_full_sort": recall + 0.1}
    return Evaluation(summary, pl.DataFrame(), config, survival, 1.0)


def test_runs_stand_side_by_side():
    assert comparison({"a": evaluation(0.5), "b": evaluation(0.25)}) == [
        Row("beam search, by semantic ID", "recall@5", ("0.5000", "0.2500")),
        Row("beam search, by semantic ID", "ndcg@5", ("0.2500", "0.1250")),
        Row("beam", "prefixes kept after each token", ("5", "5")),
        Row("beam", "illegal tokens masked", ("after the softmax", "after the softmax")),
        Row("beam", "users whose result is proved exact", ("25.0%", "25.0%")),
    ]


def test_results_are_counted_by_what_the_items_are():
    counts = SurvivalCounts(found=2, outscored=8, best_leaves=8)
    rows = comparison({"a": evaluation(0.5, counts)}, "title")
    groups = {row.group for row in rows if row.measure == "recall@5"}
    assert groups == {"beam search, by title", "full sort, by title"}


def test_widths_by_level_and_masks_are_named():
    wide = EvaluationConfig(ks=(5,), beam_width=(20, 10, 5), mask="before")
    rows = comparison({"a": evaluation(0.5), "b": replace(evaluation(0.5), config=wide)})
    assert Row("beam", "prefixes kept after each token", ("5", "20, 10, 5")) in rows
    masked = ("after the softmax", "before the softmax")
    assert Row("beam", "illegal tokens masked", masked) in rows


def test_what_one_run_was_not_asked_is_left_empty():
    counts = SurvivalCounts(found=2, pruned=1, promoted=0, outscored=7, best_leaves=8)
    rows = {
        row.measure: row for row in comparison({"a": evaluation(0.5), "b": evaluation(0.2, counts)})
    }
    assert rows["in the full ranking, dropped by the beam"].values == (None, "1")
    assert rows["in neither"].values == (None, "7")
    assert rows["of the best items, kept"].values == (None, "0.0%")


def test_where_targets_were_dropped_is_told_where_known():
    counts = SurvivalCounts(found=2, pruned=3, outscored=7, best_leaves=8, retained_leaves=6)
    rows = pl.DataFrame(
        {"pruned_at": [1, 3, 9, None], "pruned_by_token": [True, True, False, None]}
    )
    told = replace(evaluation(0.2, counts), per_user=rows)
    found = comparison({"a": told, "b": evaluation(0.5, counts)})
    at = Row("targets", "dropped at token 1, 2, 3, 4, later", ("1, 0, 1, 0, 1", None))
    assert at in found
    assert Row("targets", "dropped, and one token explains it", ("2", None)) in found


def test_full_sort_has_rows_of_its_own():
    counts = SurvivalCounts(found=2, pruned=1, outscored=7, best_leaves=8, retained_leaves=6)
    rows = comparison({"b": evaluation(0.2, counts)})
    assert Row("full sort, by semantic ID", "recall@5", ("0.3000",)) in rows
    assert Row("beam", "of the best items, kept", ("75.0%",)) in rows


def test_a_baseline_has_no_search_whose_result_could_be_exact():
    popularity = replace(evaluation(0.1), baseline=PopularityConfig())
    del popularity.summary["exact"]
    rows = comparison({"a": evaluation(0.5), "popularity": popularity})
    assert Row("beam search, by semantic ID", "recall@5", ("0.5000", "0.1000")) in rows
    assert Row("beam", "prefixes kept after each token", ("5", None)) in rows
    assert Row("beam", "users whose result is proved exact", ("25.0%", None)) in rows


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="at least one run"):
        comparison({})
