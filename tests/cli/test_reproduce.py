"""An experiment runs from the command line, goes on where it stopped, and refuses in one line."""

import json

import pytest
import yaml

from beamwise.cli import reproduction
from beamwise.testing.tiny_run import tiny_config


@pytest.fixture
def config(tiny, tmp_path):
    """A YAML file of two methods on the tiny shop."""
    settings = tiny_config(tmp_path / "unused", tiny / "data").model_dump(mode="json")
    kept = ("out", "data", "backbone", "training", "evaluation")
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({key: settings[key] for key in kept}))
    content = {
        "base": str(tmp_path / "base.yaml"),
        "seeds": [0, 1],
        "evaluation": {"ks": [5, 10], "beam_width": 10, "full_sort": True},
        "resamples": 200,
        "methods": [
            {"name": "ce"},
            {"name": "apao", "settings": {"objective.name": "apao-pointwise"}},
        ],
    }
    (tmp_path / "comparison.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "comparison.yaml"


@pytest.fixture
def objectives(beamwise, config, tmp_path):
    def call(*arguments):
        given = ("reproduce", "objectives", "--config", config, "--out", tmp_path / "out")
        return beamwise(*given, *arguments)

    return call


def test_a_part_and_then_the_rest(objectives, tmp_path):
    first = objectives("--methods", "ce", "--seeds", "1,")
    assert first.status == 0
    assert "training ce, seed 1" in first.err
    assert [line for line in first.err.splitlines() if "done" in line] == [
        "0 of 1 runs are done; how long the others take was never timed: --plan does that",
        "1 of 1 runs are done",
    ]
    assert (tmp_path / "out" / "ce" / "seed-1" / "per_user.parquet").is_file()
    assert not (tmp_path / "out" / "apao").exists()
    report = objectives("--report")
    assert "apao: no test of seed 0, 1" in report.err
    assert "training" not in report.err
    rest = objectives("--json")
    assert "training ce, seed 1" not in rest.err
    assert "training apao, seed 1" in rest.err
    told = [line for line in rest.err.splitlines() if "runs are done" in line]
    assert [line.partition(";")[0] for line in told] == [
        f"{done} of 4 runs are done" for done in (1, 2, 3, 4)
    ]
    assert "left: " in told[1]  # by the first run's time, before anything was timed for a plan
    content = json.loads(rest.out)
    assert content["report"] == str(tmp_path / "out" / "report.md")
    assert [method["name"] for method in content["methods"]] == ["ce", "apao"]
    again = objectives()
    assert "Objectives: 40 test users, against ce" in again.out
    assert "training" not in again.err
    mean = content["methods"][1]["metrics"]["recall@10"]["interval"]["mean"]
    assert f"{mean:.4f}" in next(line for line in again.out.splitlines() if "apao" in line)


def test_a_plan_trains_nothing_and_a_budget_stops_in_time(objectives, tmp_path):
    planned = objectives("--plan", "--json")
    assert planned.status == 0
    assert [line for line in planned.err.splitlines() if "timing" in line] == [
        "timing a few steps of ce",
        "timing a few steps of apao",
    ]
    lines = [json.loads(line) for line in planned.out.splitlines()]
    assert [line["state"] for line in lines[:-1]] == ["to be trained"] * 4
    assert lines[-1]["seconds_left"] > 0
    assert not list((tmp_path / "out").glob("*/seed-*"))
    statuses = []
    while len(statuses) < 20 and (not statuses or statuses[-1] != 0):
        outcome = objectives("--budget", "1s")
        statuses.append(outcome.status)
    assert set(statuses[:-1]) <= {3}
    assert statuses[-1] == 0
    assert "4 of 4 runs are done" in objectives("--plan").err


def test_interruption_says_how_to_go_on(objectives, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduction, "run_comparison", stopped)
    outcome = objectives()
    assert outcome.status == 130
    assert outcome.err.splitlines() == [
        "0 of 4 runs are done; how long the others take was never timed: --plan does that",
        "stopped; run the same command to continue",
    ]


def test_what_other_processes_finish_counts_and_no_line_comes_twice(
    objectives, tmp_path, monkeypatch
):
    assert objectives("--methods", "ce", "--seeds", "1,").status == 0
    run, elsewhere = tmp_path / "out" / "ce" / "seed-1", tmp_path / "elsewhere"
    run.rename(elsewhere)

    def runs_elsewhere(*arguments):
        watcher = arguments[3]
        watcher.finished()
        elsewhere.rename(run)  # what another process does
        watcher.finished()
        watcher.finished()
        raise reproduction.BudgetSpentError

    monkeypatch.setattr(reproduction, "run_comparison", runs_elsewhere)
    outcome = objectives("--methods", "ce")
    assert outcome.status == 3
    assert [line.partition(";")[0] for line in outcome.err.splitlines()] == [
        "0 of 2 runs are done", "1 of 2 runs are done", "the budget is spent",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--methods", "ce,apoa"), "--methods: no method 'apoa' here; choose one of ce, apao"),
        (("--budget", "9"), "--budget must be a time as 9m, 1h30m or 45s, got '9'"),
        (("--plan", "--report"), "--plan, --report and --archive train nothing: give one"),
        (("--from", "x"), "--from x is for merge"),
        (("--seeds", "0,x"), "--seeds must be whole numbers with commas, got '0,x'"),
        (("--seeds", "0,5"), "seed 5 is not in the comparison: its seeds are 0, 1"),
        (("--seeds", "5"), "5 seeds are asked for, the comparison has 2"),
        (("--dataset", "office"), "--dataset office is for the paper's tables and figures"),
        (("--report",), "no tested run of ce in"),
        (("--set", "settings.training.epoch=1"), "did you mean 'epochs'?"),
        (("--set", "sedes=[1]"), "did you mean 'seeds'?"),
        (("--data", "nowhere"), "ce, seed 0: no dataset folder at"),
    ],
)
def test_bad_input_is_one_line(objectives, arguments, complaint):
    outcome = objectives(*arguments)
    assert outcome.status == 2
    assert complaint in outcome.err
    assert "Traceback" not in outcome.err


def test_what_is_missing_is_named(beamwise, config, tmp_path):
    assert "objectives runs by itself: ask for objectives, table1 one by one" in (
        beamwise("reproduce", "objectives,table1").complaint
    )
    assert "unknown experiment 'objective'; choose one of objectives" in (
        beamwise("reproduce", "objective", "--config", config).complaint
    )
    assert "--config is not set" in beamwise("reproduce", "objectives").complaint
    assert "--out is not set" in beamwise("reproduce", "objectives", "--config", config).complaint


def test_settings_are_listed(beamwise):
    outcome = beamwise("reproduce", "objectives", "--settings")
    assert outcome.status == 0
    assert "grid_seeds" in outcome.out
    assert "evaluation.beam_width" in outcome.out
