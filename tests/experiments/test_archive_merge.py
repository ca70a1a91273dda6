"""Results of another machine become runs of the store, each whole, at no other's cost."""

import json
import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest

from beamwise.config import read_config, write_config
from beamwise.data.dataset import Dataset
from beamwise.evaluation import Evaluation
from beamwise.experiments.archive_merge import merge
from beamwise.experiments.comparison_claim import claimed
from beamwise.experiments.comparison_config import select
from beamwise.experiments.comparison_figures import comparison_figures
from beamwise.experiments.comparison_runner import ComparisonWatcher, run_comparison
from beamwise.experiments.moved_runs import relocated, runs_in
from beamwise.experiments.objective_comparison import Comparison
from beamwise.training.config import CONFIG_FILE, RunConfig
from beamwise.training.provenance import Origin

ELSEWHERE = Path("/elsewhere")


@pytest.fixture
def results(finished_comparison, tmp_path):
    """All runs, as a machine brought them back on which they lay at other places."""
    folder = shutil.copytree(finished_comparison.out, tmp_path / "carried" / "results")
    for run in runs_in(folder):
        there = ELSEWHERE / "results" / run.relative_to(folder)
        config = read_config(RunConfig, run / "config.yaml")
        write_config(relocated(config, there, ELSEWHERE / "data" / "tiny"), run / CONFIG_FILE)
    return folder


@pytest.fixture
def data(comparison_file):
    return {"tiny": comparison_file.parent / "data"}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def keep_only(results, *labels):
    for run in [*runs_in(results)]:
        if run.relative_to(results).as_posix() not in labels:
            shutil.rmtree(run)


def begin(comparison, method, seed, steps):
    """Train a run of a comparison for some steps only."""
    made = []

    def training(step):
        made.append(step)
        if len(made) == steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_comparison(comparison, [method], [seed], ComparisonWatcher(print, training))


def contents(folder):
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_all_is_merged_and_is_the_comparisons_own(finished_comparison, results, store, data):
    before = contents(results)
    summary = merge(results, store, data=data)
    assert contents(results) == before
    assert summary.is_complete
    assert len(summary.merged) == len([*runs_in(results)]) == 9
    merged = Comparison(finished_comparison.config, store)
    told = []
    whole = select(merged.config, (), ())
    run_comparison(merged, *whole, ComparisonWatcher(told.append, told.append))
    assert told == []  # there is nothing left to do
    some = (["ce", "later"], [3, 4])
    assert comparison_figures(merged, *some) == comparison_figures(finished_comparison, *some)
    later = merged.final_run("later", 3)
    config = read_config(RunConfig, later.folder / "config.yaml")
    assert config == later.config  # start_from too
    assert config.start_from.is_relative_to(store)


def test_a_second_merge_does_nothing(results, store, data):
    keep_only(results, "ce/seed-3", "apao/seed-3")
    merge(results, store, data=data)
    times = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    again = merge(results, store, data=data)
    assert again.merged == again.refused == ()
    assert len(again.unchanged) == 2
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == times


def test_what_goes_further_takes_the_place_and_goes_on_here(
    finished_comparison, results, store, data
):
    """A run begun in the store, further in the results, ends here as if never interrupted."""
    ours = Comparison(finished_comparison.config, store)
    begin(ours, "ce", 3, 3)
    there = Comparison(finished_comparison.config, results)
    shutil.rmtree(results)
    begin(there, "ce", 3, 7)
    theirs = (results / "ce/seed-3/checkpoint/last.safetensors").read_bytes()
    data = {"data": data["tiny"]}  # the name of its folder
    assert merge(results, store, data=data).merged == ("ce/seed-3",)
    assert (store / "ce/seed-3/checkpoint/last.safetensors").read_bytes() == theirs
    assert merge(results, store, data=data).unchanged == ("ce/seed-3",)
    run_comparison(ours, ["ce"], [3], ComparisonWatcher(print, lambda _: None))
    runs = [comparison.final_run("ce", 3) for comparison in (ours, finished_comparison)]
    first, second = (Evaluation.load(run.folder).per_user for run in runs)
    assert first.equals(second)


def test_what_is_less_far_does_nothing(finished_comparison, own_comparison, results, data):
    keep_only(results, "ce/seed-3")
    last = results / "ce/seed-3/checkpoint"
    shutil.rmtree(results / "ce/seed-3")
    begin(Comparison(finished_comparison.config, results), "ce", 3, 3)
    assert last.is_dir()
    before = contents(own_comparison.out)
    summary = merge(results, own_comparison.out, data={"data": data["tiny"]})
    assert (summary.merged, summary.unchanged) == ((), ("ce/seed-3",))
    assert contents(own_comparison.out) == before


def test_a_run_without_a_checkpoint_is_not_begun(results, store, data):
    keep_only(results, "ce/seed-3")
    shutil.rmtree(results / "ce/seed-3/checkpoint")
    assert merge(results, store, data=data).unchanged == ("ce/seed-3",)
    assert not store.exists()


def test_tests_and_reports_of_the_same_weights_are_added(own_comparison, results, data):
    keep_only(results, "ce/seed-3")
    ours = own_comparison.out / "ce/seed-3"
    (ours / "evaluation.json").unlink()
    (ours / "per_user.parquet").unlink()
    (ours / "of-the-store").write_text("kept")
    kept = (ours / "config.yaml").read_bytes()
    summary = merge(results, own_comparison.out, data=data)
    assert summary.merged == ("ce/seed-3",)
    assert own_comparison.final_run("ce", 3).evaluation(own_comparison.config.evaluation)
    assert (ours / "of-the-store").read_text() == "kept"
    assert (ours / "config.yaml").read_bytes() == kept


def test_a_finished_run_is_never_replaced(own_comparison, results, data):
    """The same run, finished on both machines to other weights."""
    keep_only(results, "ce/seed-3", "ce/seed-4")
    (own_comparison.out / "ce/seed-3/evaluation.json").unlink()
    for name in ("best", "last"):  # another seed's weights stand for another machine's
        file = f"checkpoint/{name}.safetensors"
        shutil.copy(results / "ce/seed-4" / file, results / "ce/seed-3" / file)
    before = contents(own_comparison.out)
    assert merge(results, own_comparison.out, data=data).unchanged == ("ce/seed-3", "ce/seed-4")
    assert contents(own_comparison.out) == before


def refused(results, store, data, label, what):
    """Merge; nothing but this run is refused, and the store has nothing new of it."""
    before = contents(store / label)
    summary = merge(results, store, data=data)
    [line] = summary.refused
    assert not summary.is_complete
    assert line.startswith(f"{label}: ")
    assert what in line
    assert "\n" not in line
    assert contents(store / label) == before
    return summary


def test_other_settings_are_refused_and_the_others_merged(results, store, data):
    keep_only(results, "ce/seed-4", "apao/seed-3")
    merge(results, store, data=data)
    shutil.rmtree(store / "apao")
    path = store / "ce/seed-4/config.yaml"
    path.write_text(path.read_text().replace("weight_decay: 0.01", "weight_decay: 0.02"))
    summary = refused(results, store, data, "ce/seed-4", "with other settings (training)")
    assert summary.merged == ("apao/seed-3",)


def test_other_data_of_the_store_are_refused(results, store, data):
    keep_only(results, "ce/seed-3")
    merge(results, store, data=data)
    origin = Origin.load(store / "ce/seed-3")
    Origin("0123", origin.made_by).save(store / "ce/seed-3")
    refused(results, store, data, "ce/seed-3", "with another data (0123 and ")


def test_another_catalog_of_the_store_is_refused(results, store, data):
    keep_only(results, "ce/seed-3")
    merge(results, store, data=data)
    tokens = store / "ce/seed-3/catalog/catalog.json"
    content = json.loads(tokens.read_text())
    tokens.write_text(json.dumps(content | {"version": "0123"}))
    refused(results, store, data, "ce/seed-3", "catalog")


def test_other_data_than_were_packed_are_refused(results, store, data, tmp_path):
    """The same catalog, one interaction less."""
    keep_only(results, "ce/seed-3")
    other = shutil.copytree(data["tiny"], tmp_path / "other")
    interactions = Dataset.load(other).interactions
    kept = np.arange(len(interactions)) < len(interactions) - 1
    interactions.where(kept).write(other / "interactions.parquet")
    refused(
        results, store, {"tiny": other}, "ce/seed-3", "with other users, interactions or targets"
    )


def test_data_that_are_not_here_are_asked_for(results, store, tmp_path, monkeypatch):
    keep_only(results, "ce/seed-3")
    monkeypatch.chdir(tmp_path)
    refused(results, store, None, "ce/seed-3", "its data 'tiny' are not at data/tiny: say where")


def test_data_are_looked_for_in_the_working_folder(results, store, data, tmp_path, monkeypatch):
    keep_only(results, "ce/seed-3")
    shutil.copytree(data["tiny"], tmp_path / "data" / "tiny")
    monkeypatch.chdir(tmp_path)
    assert merge(results, store).merged == ("ce/seed-3",)
    config = read_config(RunConfig, store / "ce/seed-3/config.yaml")
    assert config.data.folder == tmp_path / "data" / "tiny"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("checkpoint/last.safetensors", "damaged or cut short"),
        ("checkpoint/best.safetensors", "damaged or cut short"),
        ("metrics.jsonl", "is cut short: it has"),
        ("evaluation.json", "not readable"),
        ("catalog/tokens.parquet", "tokens.parquet"),
        ("config.yaml", "config.yaml"),
    ],
)
def test_a_damaged_run_is_refused(results, store, data, name, what):
    keep_only(results, "ce/seed-3", "ce/seed-4")
    path = results / "ce/seed-3" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    summary = refused(results, store, data, "ce/seed-3", what)
    assert summary.merged == ("ce/seed-4",)
    assert contents(store / "ce/seed-3") == {}


def test_a_run_that_begins_with_other_weights_is_refused(own_comparison, results, data):
    """The store has finished the same first stage by itself, to other weights."""
    shutil.rmtree(own_comparison.out / "later")
    source = own_comparison.final_run("tuned", 3).folder
    best = "checkpoint/best.safetensors"
    shutil.copy(own_comparison.final_run("tuned", 4).folder / best, source / best)
    what = "the store has no such run with the same weights"
    summary = refused(results, own_comparison.out, data, "later/seed-3", what)
    assert summary.merged == ("later/seed-4",)


def test_a_run_is_refused_with_the_one_that_it_begins_with(
    finished_comparison, results, store, data
):
    source = finished_comparison.final_run("tuned", 3).folder.relative_to(finished_comparison.out)
    (results / source / "checkpoint/best.safetensors").write_text("damaged")
    summary = merge(results, store, data=data)
    assert [line.partition(":")[0] for line in summary.refused] == [f"{source}", "later/seed-3"]
    assert len(summary.merged) == 7


@pytest.mark.parametrize("at", ["store", "results"])
def test_what_a_process_is_at_is_left_alone(results, store, data, at):
    keep_only(results, "ce/seed-3", "ce/seed-4")
    run = {"store": store, "results": results}[at] / "ce/seed-3"
    with claimed(run) as ours:
        assert ours
        summary = refused(results, store, data, "ce/seed-3", "another process is at it")
        assert summary.merged == ("ce/seed-4",)
    assert merge(results, store, data=data).merged == ("ce/seed-3",)


def test_results_need_not_be_writable(results, store, data):
    keep_only(results, "ce/seed-3")
    folders = [results, *(path for path in results.rglob("*") if path.is_dir())]
    with ExitStack() as undone:
        for folder in folders:
            folder.chmod(0o555)
            undone.callback(folder.chmod, 0o755)
        before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
        assert merge(results, store, data=data).merged == ("ce/seed-3",)
        assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


class Killed(BaseException):
    """Ends a merge as a kill does, but for what the system would clean up."""


def merge_until(monkeypatch, last, results, store, data):
    """Merge, killed where files were copied, and folders moved or removed, so many times."""
    made = []

    def killing(function):
        def call(*given, **options):
            if len(made) == last:
                raise Killed
            made.append(function)
            return function(*given, **options)

        return call

    with monkeypatch.context() as patched:
        for owner, name in ((shutil, "copyfile"), (shutil, "rmtree"), (Path, "rename")):
            patched.setattr(owner, name, killing(getattr(owner, name)))
        with suppress(Killed):
            merge(results, store, data=data)
    return len(made)


def test_a_merge_that_is_killed_anywhere_is_completed_by_the_next(
    finished_comparison, results, store, data, monkeypatch
):
    keep_only(results, "ce/seed-3")
    begin(Comparison(finished_comparison.config, store), "ce", 3, 3)
    begun = shutil.copytree(store, store.with_name("begun"))
    steps = merge_until(monkeypatch, None, results, store, data)
    whole = contents(store)
    assert steps > 10
    for last in (0, 1, steps // 2, *range(steps - 4, steps)):
        shutil.rmtree(store)
        shutil.copytree(begun, store)
        assert merge_until(monkeypatch, last, results, store, data) == last
        assert contents(store) != whole or last == steps - 1
        assert merge(results, store, data=data).is_complete
        assert contents(store) == whole
        assert sorted(path.name for path in (store / "ce").iterdir()) == ["seed-3", "seed-3.lock"]


def test_what_is_no_run_is_not_removed(results, store, data):
    keep_only(results, "ce/seed-3")
    (store / "ce/seed-3").mkdir(parents=True)
    (store / "ce/seed-3/notes").write_text("mine")
    refused(results, store, data, "ce/seed-3", "exists and is not a run folder: remove it")


def test_folders_that_cannot_be_merged_are_refused(results, store, tmp_path):
    with pytest.raises(ValueError, match=r"no runs in .*nowhere: give the folder results"):
        merge(tmp_path / "nowhere", store)
    with pytest.raises(ValueError, match=r"is a whole archive: give .*carried/results"):
        merge(results.parent, store)
    for inside in (results, results / "ce", results.parent):
        with pytest.raises(ValueError, match="hold each other: name results from elsewhere"):
            merge(results, inside)


def test_a_store_that_is_a_link_is_where_it_leads_to(results, store, data, tmp_path):
    keep_only(results, "ce/seed-3")
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", store)
    merge(results, store, data=data)
    config = read_config(RunConfig, store / "ce/seed-3/config.yaml")
    assert config.out == tmp_path / "real" / "ce" / "seed-3"
