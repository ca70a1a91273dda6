"""Costs side by side: of one machine only, seed by seed, with and without first stages."""

import pytest

from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.training_cost import Costs, cost_charts, cost_table
from beamwise.report.objective_comparison import RunFigures

from .conftest import evidence_from, method, trained

SETTING = Setting("office", "tiger")
QUICK = [RunFigures(0, 4, 0.05, 40.0), RunFigures(1, 6, 0.07, 60.0)]  # 10 and 10 an epoch
SLOW = [RunFigures(0, 2, 0.05, 100.0), RunFigures(1, 4, 0.05, 240.0)]  # 50 and 60


def rows(evidence, *arguments):
    table = cost_table(evidence, "ce", *arguments)
    names = [f"{column.group} {column.name}".strip() for column in table.columns]
    return {row[0]: dict(zip(names, row, strict=True)) for row in table.rows}, table


def test_seconds_ratios_and_epochs():
    found, table = rows(
        evidence_from(SETTING, method("ce", runs=QUICK), method("msl", 0.1, 0.0, runs=SLOW))
    )
    msl = found["msl"]
    assert msl["seconds an epoch ours"].mean == 55.0
    assert msl["times ce ours"].mean == pytest.approx(5.5)
    assert msl["epochs trained"].mean == msl["epochs with its source"].mean == 3.0
    assert (msl["epochs best"].mean, msl["epochs ended by the limit"]) == (2.0, "0 of 2")
    assert msl["training alone"].mean == 170.0
    assert "No ratio" not in table.note
    assert "paper" not in {column.name for column in table.columns}


def test_the_papers_stand_beside():
    evidence = evidence_from(SETTING, method("ce"), method("msl", 0.1, 0.0))
    found, _ = rows(evidence, {"ce": (15.0, 45), "ce-dpo": (30.0, 90)})
    ce, msl = found["ce"], found["msl"]
    names = ("seconds an epoch paper", "times ce paper", "epochs paper")
    assert [ce[name] for name in names] == [15.0, 1.0, 45]
    assert [msl[name] for name in names] == ["no value"] * 3
    found, _ = rows(evidence, {"msl": (30.0, 90)})
    assert [found["msl"][name] for name in names] == [30.0, "no value", 90]


def test_a_second_stage_is_told_alone_and_with_its_source():
    later = method("ce-dpo", 0.1, 0.0, runs=SLOW, start_from="ce")
    found, _ = rows(evidence_from(SETTING, method("ce", runs=QUICK), later))
    dpo = found["ce-dpo"]
    assert (dpo["epochs trained"].mean, dpo["epochs with its source"].mean) == (3.0, 8.0)
    assert dpo["training with its source"].mean == 220.0  # of 140 and 300
    alone = {0: trained(method("ce", runs=QUICK))[0]}
    evidence = evidence_from(SETTING, method("ce"), later, trainings={"ce": alone})
    found, _ = rows(evidence)  # the first stage of seed 1 is not there
    assert found["ce-dpo"]["epochs with its source"] is None
    assert found["ce-dpo"]["training with its source"] is None
    assert found["ce-dpo"]["times ce ours"].mean == pytest.approx(5.0)  # seed 0 alone


def test_several_machines_are_not_compared():
    methods = (method("ce", runs=QUICK), method("msl", 0.1, 0.0, runs=SLOW))
    other = {"msl": trained(methods[1], machines=("another",))}
    found, table = rows(evidence_from(SETTING, *methods, trainings=other))
    assert found["msl"]["times ce ours"] is None
    assert found["msl"]["seconds an epoch ours"].mean == 55.0  # all of one machine
    assert table.note.count("No ratio to ce of msl: ") == 1
    mixed = {"msl": trained(methods[1], machines=("a machine", "another"))}
    found, _ = rows(evidence_from(SETTING, *methods, trainings=mixed))
    assert found["msl"]["seconds an epoch ours"] is None
    assert found["msl"]["training alone"] is None
    assert found["msl"]["epochs trained"].mean == 3.0
    unsaid = {
        name: trained(each, machines=()) for name, each in zip(("ce", "msl"), methods, strict=True)
    }
    found, _ = rows(evidence_from(SETTING, *methods, trainings=unsaid))
    assert found["msl"]["times ce ours"] is None


def test_the_limit_is_counted_and_unknown_times_are_left_open():
    runs = [RunFigures(0, 4, 0.05, None), RunFigures(1, 6, 0.07, 60.0)]
    ce = method("ce", runs=runs)
    evidence = evidence_from(SETTING, ce, trainings={"ce": trained(ce, limit=6)})
    found, _ = rows(evidence)
    assert found["ce"]["epochs ended by the limit"] == "1 of 2"
    assert found["ce"]["seconds an epoch ours"] is None
    assert found["ce"]["times ce ours"] is None
    assert Costs.of(evidence, "ce").ratio("absent") is None


def test_the_chart_has_the_ratios_of_the_table_and_marks_the_baseline():
    methods = (method("ce", runs=QUICK), method("msl", 0.1, 0.0, runs=SLOW), method("dpo"))
    other = {"dpo": trained(methods[2], machines=("another",))}
    evidence = evidence_from(SETTING, *methods, trainings=other)
    found, _ = rows(evidence)
    (chart,) = cost_charts(evidence, "ce", lines_at={"a mark": 4.0})
    (ours,) = chart.series
    assert (ours.name, ours.x, ours.y) == ("ours", ("msl",), (found["msl"]["times ce ours"],))
    assert chart.lines_at == {"ce": 1.0, "a mark": 4.0}
    assert chart.y.label == "seconds an epoch, as multiples of ce"
    _, theirs = cost_charts(evidence, "ce", {"ce": (15.0, 45), "msl": (30.0, 9), "dpo": (1.0, 1)})[
        0
    ].series
    assert (theirs.name, theirs.x, [value.mean for value in theirs.y]) == ("paper", ("msl",), [2.0])
    (chart,) = cost_charts(evidence, "ce", {"msl": (30.0, 9)})  # no seconds of its baseline
    assert len(chart.series) == 1
    assert cost_charts(evidence_from(SETTING, methods[0]), "ce") == ()
