"""How far a run is can be told from its folder, and damage is found."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from beamwise.config import changed_config, read_config, write_config
from beamwise.experiments.run_state import check_whole, run_files, state_of
from beamwise.training.config import RunConfig


@pytest.fixture
def run(finished_comparison, tmp_path):
    """A copy of a finished and tested run."""
    return shutil.copytree(finished_comparison.final_run("ce", 3).folder, tmp_path / "seed-3")


def put_back(run, **progress):
    """Let the last checkpoint say that it is of another moment."""
    path = run / "checkpoint" / "last.safetensors"
    known = {"finished": False, "steps": 4, "log_lines": 0} | progress
    save_file(load_file(path), path, {"progress": json.dumps(known)})


def test_a_finished_run(run):
    state = state_of(run)
    [(finished, steps)] = state.stages
    assert finished
    assert steps > 1
    assert state.is_begun
    assert state.is_finished
    assert state.results == {"evaluation.json"}
    check_whole(run)


def test_further_is_greater(run):
    states = [state_of(run)]
    for steps in (6, 5):
        put_back(run, steps=steps)
        states.insert(0, state_of(run))
    assert not states[0].is_finished
    assert [state.stages for state in states] == sorted(state.stages for state in states)
    assert len({state.stages for state in states}) == 3


def test_stages_count_one_by_one(run):
    path = run / "config.yaml"
    config = changed_config(
        read_config(RunConfig, path),
        None,
        ["stages=[{objective: {name: ce}}, {objective: {name: ce}}]"],
    )
    write_config(config, path)
    last = run / "checkpoint"
    last.rename(run / "first")
    last.mkdir()
    (run / "first").rename(last / "stage-0")
    first = state_of(run)
    assert first.stages[0][0]
    assert first.stages[1] == (False, 0)
    assert first.is_begun
    assert not first.is_finished
    check_whole(run)
    shutil.copy(last / "stage-0" / "last.safetensors", last)
    assert state_of(run).is_finished
    assert state_of(run).stages > first.stages


def test_a_run_without_checkpoint_is_not_begun(run):
    shutil.rmtree(run / "checkpoint")
    assert not state_of(run).is_begun


def test_unfinished_files_are_no_part(run):
    names = {path.name for path in run_files(run)}
    for name in (".17.config.yaml", "checkpoint/last.unfinished", ".hidden/file"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).touch()
    assert {path.name for path in run_files(run)} == names
    assert {"config.yaml", "last.safetensors", "per_user.parquet"} <= names


def test_a_log_that_is_cut_short_is_damage(run):
    log = run / "metrics.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]) + lines[-1][:5])
    with pytest.raises(ValueError, match=f"it has {len(lines) - 1} lines, the checkpoint had"):
        check_whole(run)
    put_back(run, log_lines=len(lines) - 1)
    check_whole(run)  # a line that was being written is written again


def test_a_damaged_report_is_found(run):
    (run / "survival.json").write_text("{")
    assert "survival.json" in state_of(run).results
    with pytest.raises(ValueError, match=r"survival\.json is damaged"):
        check_whole(run)
