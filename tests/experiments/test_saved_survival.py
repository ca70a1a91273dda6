"""A survival report is read back as it was measured."""

import shutil

import pytest

from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.experiments.saved_survival import SavedSurvival
from beamwise.experiments.survival_report import survival_report

CONFIG = SurvivalConfig(ks=(5, 10), beam_width=10, widths=(5, 10), timed_users=4, full_sort_users=2)


def test_what_was_measured_comes_back(tiny, tmp_path):
    run = shutil.copytree(tiny, tmp_path / "run")
    measured = survival_report(run, config=CONFIG)
    saved = SavedSurvival.load(run)
    assert saved.settings == CONFIG
    assert saved.users == 40
    assert saved.beam.width == 10
    assert list(saved.beam.prefix_recall) == measured.prefix_recall(measured.beam)
    assert list(saved.beam.retention) == measured.retention(measured.beam)
    assert saved.of_width(5).retention is None  # too narrow for ten results
    assert saved.of_width(5).metrics["recall@5"] == measured.of_width(5).mean("recall@5")
    assert saved.exact.metrics == measured.exact
    times = (measured.times["10"], measured.times["exact"], measured.times["full sort"])
    found = (saved.beam.time, saved.exact.time, saved.full_sort.time)
    assert [each.milliseconds_per_user for each in found] == [each.milliseconds for each in times]
    assert [level.name for level in saved.told_levels] == [
        level.name for level in measured.told_levels
    ]


def test_no_report_and_a_damaged_one(tmp_path):
    assert SavedSurvival.load(tmp_path) is None
    (tmp_path / "survival.json").write_text("{}")
    with pytest.raises(ValueError, match=r"survival\.json is damaged: remove it"):
        SavedSurvival.load(tmp_path)
