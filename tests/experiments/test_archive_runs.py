"""Runs of a store travel with configs that name the archive's folders."""

import shutil
import tarfile

import pytest
from safetensors.torch import load_file

from beamwise.config import changed_config, read_config, write_config
from beamwise.experiments.archive_runs import pack_runs
from beamwise.experiments.archive_tar import written
from beamwise.experiments.comparison_claim import claimed
from beamwise.experiments.moved_runs import relocated, runs_in, settle
from beamwise.experiments.objective_comparison import Comparison
from beamwise.training.checkpoint import is_finished
from beamwise.training.config import CONFIG_FILE, RunConfig


@pytest.fixture
def data(comparison_file):
    return {"tiny": comparison_file.parent / "data"}


@pytest.fixture
def store(finished_comparison, tmp_path):
    """The runs of one seed, below a folder of their own."""
    shutil.copytree(finished_comparison.out, tmp_path / "store" / "part")
    for run in runs_in(tmp_path / "store"):
        if run.name == "seed-4":
            shutil.rmtree(run)
    return tmp_path / "store"


def packed(tmp_path, *arguments):
    with written(tmp_path / "mine.tar") as files:
        told = pack_runs(files, *arguments)
    with tarfile.open(tmp_path / "mine.tar") as tar:
        tar.extractall(tmp_path / "there", filter="data")
    return tmp_path / "there" / "mine", *told


def test_runs_are_those_of_a_comparison_there(tmp_path, store, data, finished_comparison):
    archive, runs, left_out = packed(tmp_path, store, ["part"], data)
    assert left_out == ()
    assert "part/later/seed-3" in runs
    assert len(runs) == 5
    config = (archive / "results/part/later/seed-3/config.yaml").read_text()
    assert "start_from: results/part/tuned/" in config
    assert "folder: data/tiny" in config
    assert str(tmp_path) not in config
    shutil.copytree(data["tiny"], archive / "data" / "tiny")
    settle(archive)
    there = Comparison(finished_comparison.config, archive / "results/part")
    run = there.final_run("later", 3)
    assert run.evaluation(there.config.evaluation) is not None
    config = read_config(RunConfig, run.folder / "config.yaml")
    assert config.start_from == run.config.start_from
    assert config.data.folder == archive / "data" / "tiny"


def test_the_optimiser_of_a_finished_run_stays(tmp_path, store, data):
    archive, *_ = packed(tmp_path, store, (), data)
    here = store / "part/ce/seed-3/checkpoint"
    there = archive / "results/part/ce/seed-3/checkpoint"
    assert is_finished(there)
    assert load_file(there / "last.safetensors") == {}
    assert load_file(here / "last.safetensors") != {}
    best = "best.safetensors"
    assert (there / best).read_bytes() == (here / best).read_bytes()
    (here / best).unlink()  # then the last weights are what is read
    archive, *_ = packed(tmp_path, store, (), data)
    last = "last.safetensors"
    assert (there / last).read_bytes() == (here / last).read_bytes()


def test_what_a_process_is_at_or_is_not_begun_stays(tmp_path, store, data):
    shutil.rmtree(store / "part/apao/seed-3/checkpoint")
    with claimed(store / "part/ce/seed-3") as ours:
        assert ours
        archive, runs, left_out = packed(tmp_path, store, (), data)
    assert left_out == ("part/ce/seed-3: another process is at it",)
    assert not {"part/ce/seed-3", "part/apao/seed-3"} & {*runs}
    assert {run.relative_to(archive / "results").as_posix() for run in runs_in(archive)} == {*runs}


def test_only_the_parts_asked_for(tmp_path, store, data):
    shutil.copytree(store / "part" / "ce", store / "part-2" / "ce")
    _, runs, _ = packed(tmp_path, store, ["part-2"], data)
    assert runs == ("part-2/ce/seed-3",)
    assert packed(tmp_path, store, ["to-come"], data)[1:] == ((), ())
    assert packed(tmp_path, None, ["part"], data)[1:] == ((), ())
    with pytest.raises(ValueError, match=r"no folder of runs at .*other: give"):
        packed(tmp_path, tmp_path / "other", (), data)


def test_what_a_run_needs_must_be_there(tmp_path, store, data):
    with pytest.raises(ValueError, match=r"reads .*data, which is not packed: pack it as well"):
        packed(tmp_path, store, (), {"other": tmp_path})
    run = store / "part/later/seed-3"
    config = read_config(RunConfig, run / "config.yaml")
    config = relocated(config, run, config.data.folder)
    away = config.model_copy(update={"start_from": tmp_path / "elsewhere/ce/seed-0"})
    write_config(away, run / CONFIG_FILE)
    with pytest.raises(ValueError, match=r"begins with .*, which is not in the store"):
        packed(tmp_path, store, (), data)


def test_a_run_whose_language_model_lies_in_a_folder_stays(tmp_path, store, data):
    run = store / "part/ce/seed-3"
    config = read_config(RunConfig, run / CONFIG_FILE)
    settings = ["backbone.name=pretrained", f"backbone.model={tmp_path}"]
    write_config(changed_config(config, None, settings), run / CONFIG_FILE)
    with pytest.raises(ValueError, match=rf"ce/seed-3 reads .* the folder {tmp_path}, which is"):
        packed(tmp_path, store, (), data)


def test_a_damaged_run_is_named(tmp_path, store, data):
    path = store / "part/ce/seed-3/checkpoint/last.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"ce/seed-3/checkpoint/last\.safetensors is damaged"):
        packed(tmp_path, store, (), data)
