"""Printed figures beside ours: inside the interval, better, the same direction, or neither."""

from dataclasses import replace

import pytest

from beamwise.report.published_results import apao_tables, published, reproductions


def test_the_tables_are_those_of_the_paper():
    table = apao_tables()["table1"]
    assert table["tiger"]["apao-pairwise"]["beauty"]["recall@20"] > 0
    assert published("table1", "tiger", "office")["ce"] == {
        "recall@10": 0.0608, "recall@20": 0.1013, "ndcg@10": 0.0292, "ndcg@20": 0.0394,
    }  # fmt: skip
    assert "msl" in published("table1", "tiger", "yelp")
    assert "msl" not in published("table1", "llama", "yelp")  # the paper has no such row
    assert published("table3", "llama", "beauty")["ce-apao-pointwise"] == {"ndcg@10": 0.0308}
    assert set(published("table3", "tiger", "office")) == {
        "s-dpo-one-stage", "apao-pointwise", "apao-pairwise",
        "ce-s-dpo", "ce-apao-pointwise", "ce-apao-pairwise",
    }  # fmt: skip
    assert published("table3", "tiger", "yelp") == {}
    for backbone, rows in table.items():
        for method, of_data in rows.items():
            for dataset, row in of_data.items():
                assert row["recall@10"] < row["recall@20"], (backbone, method, dataset)
                assert row["ndcg@10"] < row["ndcg@20"] < row["recall@20"]


def compared_with(compared, **metrics):
    """`tuned` with other means: [mean - .01, mean + .02] are their intervals."""
    tuned = compared.methods[1]
    changed = {
        name: replace(tuned.metrics[name], interval=replace(
            tuned.metrics[name].interval, mean=mean, low=mean - 0.01, high=mean + 0.02))
        for name, mean in metrics.items()
    }  # fmt: skip
    methods = (compared.methods[0], replace(tuned, metrics=tuned.metrics | changed))
    return replace(compared, methods=methods)


@pytest.mark.parametrize(
    ("printed", "ours", "verdict"),
    [
        (0.11, 0.1, "reproduced"),  # within [.09, .12]
        (0.12, 0.1, "reproduced"),  # at its end
        (0.01, 0.1, "reproduced"),  # ours is better
        (0.20, 0.15, "direction only"),  # both above their baselines, .05 and .1
        (0.20, 0.08, "not reproduced"),  # ours is below its baseline
        (0.20, 0.1, "not reproduced"),  # ours is no better than it
    ],
)
def test_what_reproduces(compared, printed, ours, verdict):
    figures = compared_with(compared, **{"recall@5": ours})
    table = {"ce": {"recall@5": 0.05}, "tuned": {"recall@5": printed}, "absent": {"recall@5": 1}}
    first, second = reproductions(figures, table)
    assert (first.method, first.verdict) == ("ce", "reproduced")
    assert (second.method, second.verdict) == ("tuned", verdict)
    assert second.published == {"recall@5": printed}


def test_every_metric_must_agree(compared):
    figures = compared_with(compared, **{"recall@5": 0.1, "ndcg@5": 0.2})
    table = {"ce": {"recall@5": 0.3, "ndcg@5": 0.01}, "tuned": {"recall@5": 0.31, "ndcg@5": 0.2}}
    first, second = reproductions(figures, table)
    assert first.verdict == second.verdict == "not reproduced"


def test_without_a_printed_baseline_there_is_no_direction(compared):
    figures = compared_with(compared, **{"recall@5": 0.15})
    (found,) = reproductions(figures, {"tuned": {"recall@5": 0.2}})
    assert found.verdict == "not reproduced"
