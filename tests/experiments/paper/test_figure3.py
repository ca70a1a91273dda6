"""Figure 3 and Table 5: curves over beta and eta on validation targets."""

from dataclasses import replace

import pytest

from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import figure3
from beamwise.experiments.paper.setting import Setting

from .conftest import evidence_from, method, tried


def test_one_setting_moves_and_the_other_stays(tmp_path):
    comparison = Comparison(figure3.comparison(Setting("beauty", "tiger")), tmp_path)
    runs = [run.config.objective for run in comparison.any_runs("apao-pairwise-eta")]
    assert {objective.beta for objective in runs} == {0.1}  # Table 5
    assert sorted({objective.eta for objective in runs}) == sorted(figure3.GRIDS["eta"])
    runs = [run.config.objective for run in comparison.any_runs("apao-pointwise-beta")]
    assert {objective.eta for objective in runs} == {1e-5}
    assert {objective.beta for objective in runs} == set(figure3.GRIDS["beta"])


def test_curves_and_the_best_beside_the_papers():
    points = tried("objective.beta", {0.1: [0.02, 0.03], 0.2: [0.05, 0.06], 0.3: [0.04, 0.05]})
    flat = tried("objective.eta", {1e-5: [0.04, 0.05], 3e-5: [0.041, 0.051]})
    evidence = evidence_from(
        Setting("office", "tiger"),
        method("ce"),
        method("apao-pointwise-beta", 0.1, 0.0, tried=points),
        method("apao-pairwise-eta", 0.1, 0.0, tried=flat),
        experiment="figure3",
    )
    section = figure3.section(evidence)
    beta, eta = section.charts
    assert (beta.name, beta.x.log, eta.name, eta.x.log) == ("beta", False, "eta", True)
    assert beta.series[0].x == (0.1, 0.2, 0.3)
    assert [round(value.mean, 6) for value in beta.series[0].y] == [0.025, 0.055, 0.045]
    assert [series.name for series in eta.series] == ["apao-pairwise"]
    assert beta.lines_at == pytest.approx({"ce": 0.06})  # of the runs of ce, .05 and .07
    first, second = section.tables[0].rows
    assert (first[:3], first[3].mean) == (("apao-pointwise", "beta", "0.3"), 0.045)
    assert (first[4], first[5].mean) == ("0.2", 0.055)
    assert second[:3] == ("apao-pairwise", "eta", "3e-05")
    assert first[6].mean == pytest.approx(0.01)
    assert first[7] == pytest.approx(0.0, abs=1e-9)  # both seeds differ alike
    assert second[6:] == (None, None)  # the best is the paper's
    assert section.findings == (
        "apao-pointwise: over its grid, beta moves the metric from 0.0250 to 0.0550; best 0.2, the "
        "paper's 0.3, +0.0100 from it [+0.0100, +0.0100], p < .001 over seeds.",
        "apao-pairwise: over its grid, eta moves the metric from 0.0450 to 0.0460; best 3e-05, the "
        "paper's.",
    )


def test_one_seed_says_nothing_of_seeds():
    points = tried("objective.beta", {0.1: [0.02], 0.2: [0.05], 0.3: [0.04]})
    alone = tried("objective.eta", {1e-5: [0.04], 5e-6: [0.05]})
    evidence = evidence_from(
        Setting("office", "tiger"),
        method("ce"),
        method("apao-pointwise-beta", 0.1, 0.0, tried=points),
        method("apao-pointwise-eta", 0.1, 0.0, tried=alone),
        experiment="figure3",
    )
    section = figure3.section(evidence)
    assert section.findings == (
        "apao-pointwise: over its grid, beta moves the metric from 0.0200 to 0.0500; best 0.2, the "
        "paper's 0.3.",
        "apao-pointwise: over its grid, eta moves the metric from 0.0400 to 0.0500; best 5e-06, "
        "the paper's 0.0001 was not tried.",
    )
    assert section.tables[0].rows[0][-1] is None
    assert section.tables[0].rows[0][-2].low is None


def test_only_seeds_of_both_values_are_compared():
    first, second = tried("objective.beta", {0.2: [0.05, 0.09], 0.3: [0.04, 0.04]})
    unvalidated = replace(second.runs[1], best_validation=None)
    points = [first, replace(second, runs=(second.runs[0], unvalidated))]
    evidence = evidence_from(
        Setting("office", "tiger"),
        method("ce"),
        method("apao-pointwise-beta", 0.1, 0.0, tried=points),
        experiment="figure3",
    )
    (row,) = figure3.section(evidence).tables[0].rows
    assert row[6].mean == pytest.approx(0.01)
    assert row[6].low is None
