"""Runs are trained and tested once, in any number of goes, by any number of processes."""

from contextlib import ExitStack

import pytest

from beamwise.config import read_config
from beamwise.evaluation import Evaluation
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.experiments import comparison_runner
from beamwise.experiments.comparison_claim import claimed
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.comparison_runner import (
    Budget,
    BudgetSpentError,
    ComparisonWatcher,
    run_comparison,
)
from beamwise.experiments.objective_comparison import Comparison
from beamwise.training.metrics_log import read_metrics


@pytest.fixture
def empty(comparison_file, tmp_path):
    return Comparison(read_config(ComparisonConfig, comparison_file), tmp_path / "out")


class Heard(ComparisonWatcher):
    """Keeps what it is told; may stop the work after so many steps of training."""

    def __init__(self, stop_after=None):
        self.told, self.steps = [], []

        def training(step):
            self.steps.append(step)
            if len(self.steps) == stop_after:
                raise KeyboardInterrupt

        super().__init__(self.told.append, training)


def everything(comparison, watcher):
    run_comparison(comparison, list(comparison.methods), comparison.config.seeds, watcher)


def test_what_is_finished_is_not_touched(finished_comparison):
    files = {path: path.stat().st_mtime_ns for path in finished_comparison.out.rglob("seed-*/*")}
    heard = Heard()
    everything(finished_comparison, heard)
    assert heard.told == []
    assert heard.steps == []
    again = {path: path.stat().st_mtime_ns for path in finished_comparison.out.rglob("seed-*/*")}
    assert again == files


def test_a_run_is_told_finished_when_nothing_of_it_is_left(empty):
    run, states = empty.run("ce", "", 3), []

    def finished():
        with claimed(run.folder) as is_free:
            states.append((is_free, empty.steps_left(run, True)))

    run_comparison(empty, ["ce"], [3], ComparisonWatcher(print, print, finished))
    assert states == [(True, ())]


def test_seeds_come_one_after_the_other_and_grids_when_they_are_needed(empty):
    heard = Heard()
    run_comparison(empty, ["ce", "later"], [4], heard)
    chosen = empty.chosen("tuned")
    assert [text for text in heard.told if text.startswith("training")] == [
        "training ce, seed 4",
        "training tuned with learning_rate=0.001, seed 3",
        "training tuned with learning_rate=0.02, seed 3",
        f"training tuned with {chosen}, seed 4",
        "training later, seed 4",
    ]
    assert [text for text in heard.told if text.startswith("ranking")] == [
        "ranking the test targets of ce, seed 4",
        "ranking the test targets of later, seed 4",
    ]


def test_an_interrupted_comparison_continues_to_the_same_numbers(empty, finished_comparison):
    methods, seeds = ["ce", "apao"], [3]
    with pytest.raises(KeyboardInterrupt):  # within the second run, between two checkpoints
        run_comparison(empty, methods, seeds, Heard(stop_after=13))
    assert empty.final_run("ce", 3).is_trained
    assert not empty.final_run("apao", 3).is_trained
    heard = Heard()
    run_comparison(empty, methods, seeds, heard)
    assert heard.told == ["training apao, seed 3", "ranking the test targets of apao, seed 3"]
    assert 0 < len(heard.steps) < 10
    for method in methods:
        ours, theirs = (
            Evaluation.load(comparison.final_run(method, 3).folder)
            for comparison in (empty, finished_comparison)
        )
        assert ours.per_user.equals(theirs.per_user)
        assert ours.survival == theirs.survival


def test_a_run_that_was_not_tested_is_not_trained_again(own_comparison):
    run = own_comparison.final_run("apao", 4)
    (run.folder / "evaluation.json").unlink()
    heard = Heard()
    everything(own_comparison, heard)
    assert heard.told == ["ranking the test targets of apao, seed 4"]
    assert heard.steps == []


def test_a_run_that_another_process_has_is_left_to_it(own_comparison, monkeypatch):
    """And taken over when that process goes."""
    for method in ("ce", "apao"):
        (own_comparison.final_run(method, 3).folder / "evaluation.json").unlink()
    heard = Heard()
    with ExitStack() as other:
        assert other.enter_context(claimed(own_comparison.final_run("ce", 3).folder))
        monkeypatch.setattr(comparison_runner.time, "sleep", lambda _: other.close())
        everything(own_comparison, heard)
    assert heard.told == [
        "ranking the test targets of apao, seed 3",
        "waiting for ce, seed 3, which another process is at",
        "ranking the test targets of ce, seed 3",
    ]


def test_a_stage_waits_for_the_run_that_it_begins_with(empty, monkeypatch):
    heard = Heard()
    with ExitStack() as other:
        for point in empty.methods["tuned"].points:
            other.enter_context(claimed(empty.out / "tuned" / point / "seed-3"))
        monkeypatch.setattr(comparison_runner.time, "sleep", lambda _: other.close())
        run_comparison(empty, ["later"], [3], heard)
    assert heard.told[0].startswith("waiting for tuned with learning_rate=0.001, seed 3")
    assert heard.told[-2:] == [
        "training later, seed 3",
        "ranking the test targets of later, seed 3",
    ]


def test_what_goes_wrong_names_the_run(comparison_file, tmp_path):
    config = read_config(ComparisonConfig, comparison_file, ["settings.data.folder=nowhere"])
    with pytest.raises(ValueError, match="ce, seed 3: no dataset folder at"):
        everything(Comparison(config, tmp_path), Heard())


class Clock:
    """Time that goes on by one second with every optimiser step."""

    def __init__(self, monkeypatch, heard):
        monkeypatch.setattr(comparison_runner.time, "monotonic", lambda: float(len(heard.steps)))


def test_slices_of_time_come_to_the_same_numbers(empty, finished_comparison, monkeypatch):
    """Every slice stops at a checkpoint (of every second step), so no step is made twice."""
    slices, made = 0, 0
    while True:
        heard = Heard()
        Clock(monkeypatch, heard)
        slices += 1
        try:
            run_comparison(empty, ["ce", "apao"], [3], heard, Budget(5.0))
            break
        except BudgetSpentError:
            assert len(heard.steps) <= 6
        finally:
            made += len(heard.steps)
    whole = sum(
        line["step"]
        for method in ("ce", "apao")
        for line in read_metrics(empty.final_run(method, 3).folder / "metrics.jsonl", "epoch")[-1:]
    )
    assert slices > 2
    assert made == whole
    for method in ("ce", "apao"):
        ours, theirs = (
            Evaluation.load(comparison.final_run(method, 3).folder)
            for comparison in (empty, finished_comparison)
        )
        assert ours.per_user.equals(theirs.per_user)


def test_a_test_that_would_not_end_in_time_waits_for_the_next_slice(own_comparison, monkeypatch):
    runs = [own_comparison.final_run(method, 3) for method in ("ce", "apao")]
    for run in runs:
        (run.folder / "evaluation.json").unlink()
    monkeypatch.setattr(type(own_comparison), "step_seconds", lambda *_: 60.0)
    heard = Heard()
    with pytest.raises(BudgetSpentError):
        run_comparison(own_comparison, ["ce", "apao"], [3], heard, Budget(30.0))
    assert heard.told == ["ranking the test targets of ce, seed 3"]  # the first, however long
    run_comparison(own_comparison, ["ce", "apao"], [3], heard, Budget(90.0))
    assert heard.told[1:] == ["ranking the test targets of apao, seed 3"]


def test_methods_that_ask_for_it_get_a_survival_report_once(own_comparison):
    survival = SurvivalConfig(ks=(5, 10), beam_width=10, widths=(5, 10), timed_users=2)
    settings = {"survival_of": ("ce",), "survival": survival}
    asked = Comparison(own_comparison.config.model_copy(update=settings), own_comparison.out)
    heard = Heard()
    run_comparison(asked, ["ce", "apao"], [3], heard)
    assert heard.told == ["following the beams of ce, seed 3"]
    report = asked.final_run("ce", 3).survival(survival)
    assert [each.width for each in report.widths] == [5, 10]
    assert report.seconds > 0
    assert asked.step_seconds("survival report", "after") == report.seconds
    assert asked.step_seconds("survival report", "before") is None
    run_comparison(asked, ["ce", "apao"], [3], heard)
    assert len(heard.told) == 1
    wider = survival.model_copy(update={"widths": (10, 20)})
    again = Comparison(asked.config.model_copy(update={"survival": wider}), asked.out)
    assert again.steps_left(again.final_run("ce", 3), True) == ("survival report",)
    assert again.steps_left(again.final_run("ce", 3), False) == ()


def test_waiting_for_others_ends_with_the_budget(own_comparison, monkeypatch):
    (own_comparison.final_run("ce", 3).folder / "evaluation.json").unlink()
    waited = []
    monkeypatch.setattr(comparison_runner.time, "sleep", waited.append)
    monkeypatch.setattr(comparison_runner.time, "monotonic", lambda: float(len(waited)))
    with claimed(own_comparison.final_run("ce", 3).folder), pytest.raises(BudgetSpentError):
        run_comparison(own_comparison, ["ce"], [3], Heard(), Budget(3.0))
    assert len(waited) == 4


def test_a_launcher_of_several_processes_is_refused(empty, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="start the same command several times instead"):
        everything(empty, Heard())
    assert not empty.out.exists()
