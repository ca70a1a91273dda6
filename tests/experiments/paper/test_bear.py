"""BEAR: objectives on titles, survival before and after, and the price of an epoch."""

import pytest

from beamwise.evaluation.pruned_targets import PrunedTargets
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import bear
from beamwise.experiments.paper.title_setting import TitleSetting
from beamwise.report.objective_comparison import RunFigures

from .conftest import evidence_from, method, survival

SETTING = TitleSetting("office-titles", "tiny")


def test_bear_has_three_forms_and_all_objectives_are_there(tmp_path):
    comparison = Comparison(bear.comparison(SETTING), tmp_path)
    points = {name: len(method.points) for name, method in comparison.methods.items()}
    assert (points["msl"], points["bear-hinge"], points["ce-dmpo"]) == (4, 4, 3)
    assert (points["ce"], points["apao-pairwise"]) == (1, 1)
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    forms = [runs[f"bear-{form}"].objective.form for form in ("hinge", "log-sigmoid", "reweight")]
    assert forms == ["hinge", "log-sigmoid", "reweight"]
    assert runs["apao-pairwise"].objective.levels == "branching"
    assert runs["ce-s-dpo"].objective.name == "s-dpo"
    assert comparison.config.survival_of[:2] == ("ce", "msl")
    assert len(runs) == 11


def test_shares_of_pruned_targets_and_prices_are_told():
    quick = [RunFigures(0, 4, 0.05, 40.0), RunFigures(1, 4, 0.05, 40.0)]
    slow = [RunFigures(0, 4, 0.05, 50.0), RunFigures(1, 4, 0.05, 54.0)]
    plain = (survival((5, 10, 8, 4), (10, 20, 10, 5)), survival((5, 10, 6, 3), (10, 40, 10, 10)))
    trained = (survival((5, 0, 0, 0), (10, 20, 5, 5)), survival((5, 0, 0, 0), (10, 20, 3, 0)))
    evidence = evidence_from(
        SETTING,
        method("ce", runs=quick),
        method("bear-hinge", 0.2, 0.1, runs=slow, pruned=PrunedTargets({1: 7, 3: 2, 12: 1}, 8)),
        experiment="bear",
        leaves="title",
        reports={
            "ce": dict(enumerate(plain)),
            "bear-hinge": dict(enumerate(trained)),
        },
    )
    section = bear.section(evidence)
    tables = {table.name: table for table in section.tables}
    assert list(tables) == ["quality", "differences", "lost", "survival", "cost"]
    nothing_told = (None,) * 6
    assert tables["lost"].rows == (
        ("ce", 40, 10, *nothing_told),
        ("bear-hinge", 40, 10, 7, 0, 2, 0, 1, 8),
    )
    rows = {row[:2]: row[2:] for row in tables["survival"].rows}
    assert [cell.mean for cell in rows["ce", 10]] == pytest.approx([30.0, 0.375, 0.75])
    assert [cell.mean for cell in rows["ce", 5]] == pytest.approx([10.0, 0.7, 0.5])
    assert rows["bear-hinge", 5][1:] == (None, None)  # no target was in the best 5
    assert rows["bear-hinge", 10][1].mean == pytest.approx(0.2)
    assert rows["bear-hinge", 10][2].mean == pytest.approx(0.5)  # of 5 all, of 3 none
    cost = {row[0]: row[2].mean for row in tables["cost"].rows}
    assert cost == {"ce": 1.0, "bear-hinge": pytest.approx(1.3)}
    note = " ".join(section.method)
    assert "Intervals and p of recall and NDCG are for users like these" in note
    assert "Of survival and of training: Means over the seeds' runs" in note
    recall, pruned = section.charts
    assert recall.y.label == "recall@20, by title"
    assert [series.x for series in pruned.series] == [(5.0, 10.0), (10.0,)]
    assert section.findings == (
        "Plain fine-tuning: a beam of 10 prunes 37.5% of the targets whose probability is in the "
        "best 10; the paper says over 80 %.",
        "bear-hinge: 20.0% of them, -17.5 points over the seeds that both have.",
        "An epoch of bear-hinge takes 1.30 times one of ce.",
    )
    quality = tables["quality"].rows[1]
    assert quality[:2] == ("bear-hinge", 2)
    assert quality[-2:] == (0.2, 0.2)  # by item
