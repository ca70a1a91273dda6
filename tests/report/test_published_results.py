"""Printed figures beside ours: their level, and the direction of their differences."""

from dataclasses import replace

import pytest

from beamwise.report.objective_comparison import Reproduction
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


def compared_with(compared, p=1.0, **metrics):
    """`tuned` with other means, in intervals [mean - .01, mean + .02]; those of ce are .1."""
    tuned = compared.methods[1]
    changed = {}
    for name, mean in metrics.items():
        of, difference = tuned.metrics[name], mean - 0.1
        interval = replace(of.interval, mean=mean, low=mean - 0.01, high=mean + 0.02)
        test = replace(of.test, difference=difference)
        changed[name] = replace(of, interval=interval, test=test, holm_p=p)
    methods = (compared.methods[0], replace(tuned, metrics=tuned.metrics | changed))
    return replace(compared, methods=methods)


@pytest.mark.parametrize(
    ("printed", "ours", "level"),
    [
        (0.11, 0.1, "reproduced"),  # within [.09, .12]
        (0.12, 0.1, "reproduced"),  # at its end
        (0.06, 0.1, "reproduced"),  # ours is better
        (0.20, 0.15, "not reproduced"),  # ours is below, whatever its direction
    ],
)
def test_levels(compared, printed, ours, level):
    figures = compared_with(compared, **{"recall@5": ours})
    table = {"ce": {"recall@5": 0.05}, "tuned": {"recall@5": printed}, "absent": {"recall@5": 1}}
    first, second = reproductions(figures, table)
    assert (first.method, first.level, first.directions) == ("ce", "reproduced", {})
    assert (second.method, second.level) == ("tuned", level)
    assert second.published == {"recall@5": printed}


@pytest.mark.parametrize(
    ("ours", "level"),
    [
        (0.08, "reproduced"),  # below ce's .1, and the printed figure in or below [.07, .1]
        (0.1, "not reproduced"),  # as good as ce
        (0.5, "not reproduced"),  # ours is better: the claim was that the method is bad
    ],
)
def test_a_printed_collapse_is_reproduced_by_a_collapse_only(compared, ours, level):
    figures = compared_with(compared, **{"recall@5": ours})
    table = {"ce": {"recall@5": 0.09}, "tuned": {"recall@5": 0.06}}
    _, found = reproductions(figures, table)
    assert found.level == level


@pytest.mark.parametrize(
    ("printed", "ours", "p", "direction"),
    [
        (0.06, 0.2, 0.01, "holds"),
        (0.04, 0.05, 0.01, "holds"),
        (0.06, 0.05, 0.01, "opposite"),
        (0.04, 0.2, 0.01, "opposite"),
        (0.06, 0.2, 0.05, "not established"),
        (0.06, 0.05, 0.9, "not established"),
    ],
)
def test_a_direction_is_established_or_not(compared, printed, ours, p, direction):
    figures = compared_with(compared, p, **{"recall@5": ours})
    table = {"ce": {"recall@5": 0.05}, "tuned": {"recall@5": printed}}
    _, found = reproductions(figures, table)
    assert found.directions == {"recall@5": direction}
    assert found.direction == found.direction_text == direction
    _, alone = reproductions(figures, table, levels=False)
    assert (alone.level, alone.directions) == (None, found.directions)


def test_directions_of_several_metrics(compared):
    # ours: .05, .2 and .2 beside .1 of ce; the paper has ours below, above, and no difference
    ours = {"recall@5": 0.05, "recall@10": 0.2, "ndcg@5": 0.2}
    figures = compared_with(compared, 0.01, **ours)
    ce = dict.fromkeys(ours, 0.05)
    printed = {"recall@5": 0.06, "recall@10": 0.06, "ndcg@5": 0.05}
    _, found = reproductions(figures, {"ce": ce, "tuned": printed})
    assert found.directions == {"recall@5": "opposite", "recall@10": "holds"}
    assert found.direction == "opposite"
    assert found.direction_text == "opposite: recall@5; holds: recall@10"
    partly = Reproduction("tuned", {}, None, {"a": "holds", "b": "not established"})
    assert (partly.direction, partly.direction_text) == (
        "not established",
        "holds: a; not established: b",
    )
    assert Reproduction("tuned", {}, None, {}).direction_text is None


def test_an_interval_wider_than_the_printed_figure_decides_nothing(compared):
    figures = compared_with(compared, **{"recall@5": 0.03})  # [.02, .05]
    for printed, level in ((0.025, "undecided"), (0.035, "reproduced"), (0.019, "reproduced")):
        _, found = reproductions(figures, {"ce": {"recall@5": 0.1}, "tuned": {"recall@5": printed}})
        assert found.level == level


def test_every_metric_must_agree(compared):
    figures = compared_with(compared, **{"recall@5": 0.1, "ndcg@5": 0.2})
    table = {"ce": {"recall@5": 0.3, "ndcg@5": 0.01}, "tuned": {"recall@5": 0.31, "ndcg@5": 0.2}}
    first, second = reproductions(figures, table)
    assert first.level == second.level == "not reproduced"


def test_without_a_printed_baseline_there_is_no_direction(compared):
    figures = compared_with(compared, **{"recall@5": 0.15})
    (found,) = reproductions(figures, {"tuned": {"recall@5": 0.2}})
    assert (found.level, found.directions) == ("not reproduced", {})
