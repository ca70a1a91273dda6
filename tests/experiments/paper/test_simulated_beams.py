"""What simulating beams costs beside plain fine-tuning."""

import pytest

from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import simulated_beams
from beamwise.experiments.paper.title_setting import TitleSetting
from beamwise.report.objective_comparison import RunFigures

from .conftest import evidence_from, method

SETTING = TitleSetting("toy-titles", "tiny")


def test_one_method_searches_before_every_step(tmp_path):
    comparison = Comparison(simulated_beams.comparison(SETTING), tmp_path)
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    assert comparison.config.baseline == "one-epoch-ce"
    assert {config.training.epochs for config in runs.values()} == {1}
    negatives = {name: config.negatives for name, config in runs.items()}
    assert negatives.pop("one-epoch-simulated").mine_every == 1
    assert {each.source for each in negatives.values()} == {"uniform"}


def test_ratios_are_to_plain_fine_tuning():
    plain, slow = ([RunFigures(0, 1, 0.05, seconds)] for seconds in (20.0, 90.0))
    evidence = evidence_from(
        SETTING,
        method("one-epoch-ce", runs=plain),
        method("one-epoch-simulated", 0.1, 0.0, runs=slow),
        experiment="simulated-beams",
    )
    section = simulated_beams.section(evidence)
    assert [row[2].mean for row in section.tables[0].rows] == [1.0, pytest.approx(4.5)]
    assert section.findings == ("Simulating beams takes 4.50 times ce; the paper: over 4.45.",)
    (chart,) = section.charts
    assert chart.series[0].x == ("one-epoch-simulated",)
    assert chart.lines_at == {"one-epoch-ce": 1.0, "paper, simulated beams: over 4.45": 4.45}
    alone = evidence_from(SETTING, method("one-epoch-ce", runs=plain), experiment="simulated-beams")
    assert simulated_beams.section(alone).findings == simulated_beams.section(alone).charts == ()
