"""A run takes its place in one step, whatever was there."""

import shutil
from pathlib import Path

import pytest

from beamwise.config import read_config
from beamwise.experiments.placed_run import beside, put_run, recover_run
from beamwise.training.config import CONFIG_FILE, RunConfig


@pytest.fixture
def run(own_comparison) -> Path:
    return own_comparison.final_run("ce", 3).folder


def at(run, out):
    return read_config(RunConfig, run / CONFIG_FILE).model_copy(update={"out": out})


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_lies_there_with_settings_that_say_so(run, tmp_path):
    target = tmp_path / "new/seed-3"
    put_run(run, at(run, target))
    assert names(target) == names(run)
    assert read_config(RunConfig, target / CONFIG_FILE).out == target
    assert [path.name for path in target.parent.iterdir()] == ["seed-3"]


def test_results_of_a_finished_one_stay(run, tmp_path):
    target = tmp_path / "new/seed-3"
    shutil.copytree(run, target)
    (target / "mine").mkdir()
    (target / "mine/evaluation.json").write_text("{}")
    (run / "evaluation.json").write_text("other")
    put_run(run, at(run, target))
    assert (target / "mine/evaluation.json").read_text() == "{}"
    assert (target / "evaluation.json").read_text() != "other"


def test_what_was_moved_away_comes_back(run):
    whole = names(run)
    incoming, before = beside(run)
    incoming.mkdir()
    run.rename(before)
    recover_run(run)
    assert names(run) == whole
    assert not incoming.exists()
    assert not before.exists()
