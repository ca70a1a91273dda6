"""The paper's figures beside ours, differences, and recall under both searches."""

import pytest

from beamwise.experiments.paper.comparison_parts import (
    beside_the_paper,
    difference_table,
    how_compared,
    recall_chart,
    short,
)
from beamwise.experiments.paper.setting import Setting

from .conftest import compared, evidence_from, method

PAPER, SMALL = Setting("office", "tiger"), Setting("office", "tiger", "small")
METHODS = (method("ce", 0.10), method("msl", 0.08, -0.02, 0.01), method("ce-dpo", 0.2, 0.1))
PRINTED = {
    "ce": {"recall@10": 0.105, "ndcg@20": 0.11},  # up to the ends of our intervals
    "msl": {"recall@10": 0.095, "ndcg@20": 0.10},  # above ours, below ce's
}


DIRECTIONS = "The printed directions against ce, all metrics of a method together:"


def test_the_papers_values_stand_beside_ours():
    table, findings = beside_the_paper(evidence_from(PAPER, *METHODS), PRINTED)
    assert [column.group for column in table.columns] == [
        "", "", "R@10", "R@10", "N@20", "N@20", "", "",
    ]  # fmt: skip
    assert [column.name for column in table.columns[-2:]] == ["level", "direction against ce"]
    assert [row[0] for row in table.rows] == ["ce", "msl", "ce-dpo"]
    assert [row[-2:] for row in table.rows] == [
        ("reproduced", None),
        ("not reproduced", "holds"),
        ("no value in the paper", "no value in the paper"),
    ]
    assert (table.rows[1][2], table.rows[1][3].mean, table.rows[2][2]) == (0.095, 0.08, "no value")
    assert table.note.startswith("Level: reproduced where")
    assert findings == (
        "Levels beside the paper's: 1 of 2 reproduced, 1 of 2 not reproduced.",
        f"{DIRECTIONS} holds for 1 of 1 (msl).",
    )


@pytest.mark.parametrize(
    ("setting", "changed", "why"),
    [
        (SMALL, (), "(they are smaller)"),
        (PAPER, ("settings.training.epochs=1",), "(settings of them were changed)"),
    ],
)
def test_of_other_models_only_directions_are_told(setting, changed, why):
    evidence = evidence_from(setting, *METHODS, changed=changed)
    table, findings = beside_the_paper(evidence, PRINTED)
    assert [column.name for column in table.columns][-1] == "direction against ce"
    assert "level" not in {column.name for column in table.columns}
    assert [row[-1] for row in table.rows] == [None, "holds", "no value in the paper"]
    said = {cell for row in table.rows for cell in row}
    assert not said & {"reproduced", "not reproduced", "undecided"}
    assert f"These are not the paper's models {why}" in table.note
    assert "Level:" not in table.note
    assert findings == (f"{DIRECTIONS} holds for 1 of 1 (msl).",)


def test_a_cutoff_that_was_not_measured_is_named():
    with pytest.raises(ValueError, match=r"the paper prints recall@50, and evaluation.ks is \[10,"):
        beside_the_paper(evidence_from(PAPER, method("ce")), {"ce": {"recall@50": 0.1}})


def test_differences_are_of_beam_model_and_survival():
    table = difference_table(compared(method("ce"), method("own", 0.2, 0.1, 0.03)))
    assert table.title == "Recall@20 against ce: the model, and what survives"
    assert [row[0] for row in table.rows] == ["own"]
    assert [cell.mean for cell in table.rows[0][1::2]] == [0.1, 0.1, 0.1]
    assert table.rows[0][2::2] == (0.03, 0.03, 0.03)


def test_recall_is_drawn_for_both_searches():
    chart = recall_chart(compared(method("ce", 0.1), method("own", 0.2, 0.1)))
    assert [series.name for series in chart.series] == ["beam search", "exact ranking"]
    assert [value.mean for value in chart.series[0].y] == [0.1, 0.2]
    assert chart.lines_at == {"ce": 0.1}
    assert chart.y.label == "recall@20, by semantic ID"


def test_the_method_note_says_what_was_chosen_how():
    note = " ".join(how_compared(evidence_from(PAPER, method("ce"))))
    assert "100 test users, beam of 20" in note
    assert "(ndcg@10)" in note
    assert "and count by semantic ID." in note
    assert "masked after the softmax" in note
    assert "p is corrected after Holm" in note


def test_short_names():
    assert [short(name) for name in ("recall@10", "ndcg@20")] == ["R@10", "N@20"]
