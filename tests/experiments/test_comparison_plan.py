"""A plan names every run once, with what is left of it, estimated from logs or measured steps."""

import json
import shutil

import pytest

from beamwise.config import read_config, write_config
from beamwise.evaluation import Evaluation
from beamwise.experiments import comparison_plan
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.comparison_plan import plan
from beamwise.experiments.objective_comparison import Comparison
from beamwise.training.config import RunConfig
from beamwise.training.metrics_log import read_metrics


@pytest.fixture
def empty(comparison_file, tmp_path):
    return Comparison(read_config(ComparisonConfig, comparison_file), tmp_path / "out")


@pytest.fixture
def measured(monkeypatch):
    """Every epoch of a method takes as many seconds as its name has letters."""
    configs = []

    def seconds(config):
        configs.append(config)
        return [float(config.training.epochs)]

    monkeypatch.setattr(comparison_plan, "measured_epoch_seconds", seconds)
    return configs


def everything(comparison, measuring=None):
    return plan(comparison, list(comparison.methods), comparison.config.seeds, measuring)


def test_of_a_finished_comparison_nothing_is_left(finished_comparison):
    found = everything(finished_comparison)
    assert {work.state for work in found.works} == {"done"}
    assert found.num_done == len(found.works)
    assert (found.seconds, found.is_complete) == (0.0, True)
    trained = {path.parent for path in finished_comparison.out.rglob("seed-*/metrics.jsonl")}
    assert len(found.works) == len(trained)


def test_without_logs_or_measuring_costs_are_unknown(empty):
    found = everything(empty)
    assert [work.label for work in found.works] == [
        "ce, seed 3",
        "tuned with learning_rate=0.001, seed 3",
        "tuned with learning_rate=0.02, seed 3",
        "tuned, seed 3, once the best settings are known",
        "apao, seed 3",
        "later, seed 3, once the best settings are known",
        "ce, seed 4",
        "tuned, seed 4, once the best settings are known",
        "apao, seed 4",
        "later, seed 4, once the best settings are known",
    ]
    assert {work.state for work in found.works} == {"to be trained"}
    assert (found.seconds, found.is_complete) == (0.0, False)


def test_a_grid_that_begins_with_other_runs_may_be_half_tried(own_comparison):
    out = own_comparison.out
    source, trained = own_comparison.final_run("tuned", 3), out / "later" / "seed-3"
    rate = read_config(RunConfig, trained / "config.yaml").training.learning_rate
    first = out / "later" / f"learning_rate={rate}" / "seed-3"
    first.parent.mkdir()
    trained.rename(first)
    moved = {"out": first, "start_from": source.folder}
    config = read_config(RunConfig, first / "config.yaml").model_copy(update=moved)
    write_config(config, first / "config.yaml")
    *others, later = own_comparison.config.methods
    grid = {"training.learning_rate": (rate, 2 * rate)}
    later = later.model_copy(update={"grid": grid})
    config = own_comparison.config.model_copy(update={"methods": (*others, later)})
    states = {work.label: work.state for work in everything(Comparison(config, out)).works}
    assert states[f"later with learning_rate={rate}, seed 3"] == "done"
    assert states[f"later with learning_rate={2 * rate}, seed 3"] == "to be trained"
    assert states["later, seed 3, once the best settings are known"] == "to be trained"


def test_what_was_measured_once_is_kept(empty, measured):
    told = []
    found = plan(empty, ["ce", "apao"], [3, 4], told.append)
    assert told == ["ce", "apao"]
    assert found.seconds == 4 * 2 * 2.0  # four runs of two epochs of two seconds
    again = plan(empty, ["ce", "apao"], [3, 4], told.append)
    assert again == found
    assert len(told) == len(measured) == 2


def test_logs_and_tests_tell_what_the_rest_takes(own_comparison):
    lost, kept = (own_comparison.final_run("apao", seed) for seed in (4, 3))
    shutil.rmtree(lost.folder)
    epochs = read_metrics(kept.folder / "metrics.jsonl", "epoch")
    mean = sum(line["train_seconds"] for line in epochs) / len(epochs)
    works = {work.label: work for work in everything(own_comparison).works}
    work = works["apao, seed 4"]
    assert work.state == "to be trained"
    assert work.training_seconds == pytest.approx(2 * mean)
    tests = [Evaluation.load(p.parent) for p in own_comparison.out.rglob("evaluation.json")]
    seconds = sum(test.seconds for test in tests) / len(tests)
    assert work.testing_seconds == pytest.approx(seconds)
    assert sum(work.state != "done" for work in works.values()) == 1


def test_a_trained_run_that_was_not_tested(own_comparison):
    run = own_comparison.final_run("ce", 3)
    (run.folder / "evaluation.json").unlink()
    work = plan(own_comparison, ["ce"], [3]).works[0]
    assert (work.state, work.training_seconds) == ("to be tested", 0.0)
    assert work.testing_seconds > 0


def test_a_tested_run_without_its_survival_report(own_comparison):
    settings = {"survival_of": ("ce",)}
    asked = Comparison(own_comparison.config.model_copy(update=settings), own_comparison.out)
    first, second = plan(asked, ["ce", "apao"], [3]).works
    assert (first.state, first.training_seconds, first.testing_seconds) == (
        "to be diagnosed", 0.0, None,
    )  # fmt: skip
    assert second.state == "done"


def test_of_a_run_that_was_begun_the_epochs_left_count(own_comparison, monkeypatch):
    run = own_comparison.final_run("ce", 3)
    begun = {"epoch": 1, "step": 2, "finished": False}
    monkeypatch.setattr(comparison_plan, "read_progress", lambda folder: begun)
    monkeypatch.setattr(type(run), "is_trained", False)
    work = plan(own_comparison, ["ce"], [3]).works[0]
    epochs = read_metrics(run.folder / "metrics.jsonl", "epoch")
    others = read_metrics(own_comparison.final_run("ce", 4).folder / "metrics.jsonl", "epoch")
    every = [line["train_seconds"] for line in (*epochs, *others)]
    assert work.state == "begun"
    assert work.training_seconds == pytest.approx(sum(every) / len(every))  # one epoch of two


def test_a_damaged_log_is_named(own_comparison):
    run = own_comparison.final_run("apao", 3)
    shutil.rmtree(own_comparison.final_run("apao", 4).folder)
    (run.folder / "metrics.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged: delete that run's folder"):
        everything(own_comparison)


def test_kept_measurements_are_of_one_machine(empty, measured, monkeypatch):
    plan(empty, ["ce"], [3], [].append)
    monkeypatch.setattr(comparison_plan, "processor", lambda: "another")
    plan(empty, ["ce"], [3], [].append)
    assert len(measured) == 2
    kept = json.loads((empty.out / "throughput.json").read_text())
    assert len(kept) == 2
