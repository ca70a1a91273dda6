"""Table 4: seconds an epoch and epochs, beside the paper's."""

import pytest

from beamwise.experiments.paper import table4
from beamwise.experiments.paper.setting import Setting
from beamwise.report.objective_comparison import RunFigures

from .conftest import evidence_from, method


def evidence(backbone, *methods):
    return evidence_from(Setting("office", backbone), *methods, experiment="table4")


def test_times_are_of_logs_and_ratios_to_cross_entropy():
    slow = [RunFigures(0, 2, 0.05, 100.0), RunFigures(1, 4, 0.05, 240.0)]  # 50 and 60 an epoch
    quick = [RunFigures(0, 4, 0.05, 40.0), RunFigures(1, 6, 0.05, 60.0)]  # 10 and 10
    section = table4.section(
        evidence("tiger", method("ce", runs=quick), method("apao-pairwise", 0.1, 0.0, runs=slow))
    )
    ce, pairwise = section.tables[0].rows
    assert ce[:2] == ("ce", 15.0)
    assert (ce[2].mean, ce[4].mean, ce[5], ce[6].mean) == (10.0, 1.0, 45, 5.0)
    assert (pairwise[1], pairwise[2].mean) == (163.0, 55.0)
    assert pairwise[3] == pytest.approx(163 / 15)
    assert pairwise[4].mean == pytest.approx(5.5)
    assert section.findings == (
        "apao-pairwise takes 5.50 times the seconds of ce an epoch; the paper: 10.87.",
    )
    (chart,) = section.charts
    assert [(series.name, series.x) for series in chart.series] == [
        ("ours", ("apao-pairwise",)),
        ("paper", ("apao-pairwise",)),
    ]
    assert "nor whether those of a second stage" in " ".join(section.method)


def test_the_paper_has_no_times_of_llama():
    untimed = method("ce", runs=[RunFigures(0, 4, 0.05, None)])
    section = table4.section(evidence("llama", untimed))
    assert "paper" not in {column.name for column in section.tables[0].columns}
    assert section.tables[0].rows[0][1:3] == (None, None)
    assert section.findings == ()
    assert section.charts == ()
    timed = [RunFigures(0, 4, 0.05, 40.0)]
    (chart,) = table4.section(
        evidence("llama", method("ce", runs=timed), method("apao-pairwise", runs=timed))
    ).charts
    assert [series.name for series in chart.series] == ["ours"]


def test_it_shows_the_runs_of_table_1():
    config = table4.comparison(Setting("beauty", "tiger"))
    assert config.title == "Table 4: Beauty, TIGER"
    assert len(config.methods) == 8
