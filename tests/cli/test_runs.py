"""Commands say that a run is not trained to its end."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from beamwise.cli import runs
from beamwise.cli.runs import ForeignOptions, tell_if_unfinished
from beamwise.data.splitting import ByTimeConfig
from beamwise.experiments.foreign_model import ForeignModelConfig
from beamwise.training.checkpoint import read_tensors


@pytest.fixture
def unfinished(run):
    """The run as it was before its last epoch was over."""
    path = run / "checkpoint" / "last.safetensors"
    tensors, metadata = read_tensors(path)
    progress = metadata["progress"].replace('"finished": true', '"finished": false')
    assert progress != metadata["progress"]
    save_file(tensors, path, {"progress": progress})
    return run


def test_a_finished_run_is_no_news(tiny, capsys):
    tell_if_unfinished(tiny / "run")
    tell_if_unfinished(tiny / "nowhere")
    assert capsys.readouterr() == ("", "")


def test_nor_one_whose_best_weights_alone_were_kept(unfinished, capsys):
    (unfinished / "checkpoint" / "last.safetensors").unlink()
    tell_if_unfinished(unfinished)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["recommend", "inspect"])
def test_an_unfinished_run_is_named(beamwise, unfinished, command):
    outcome = beamwise(command, unfinished, "--history", "item-0001", "--json")
    assert outcome.status == 0
    assert f"{unfinished}: training is not finished (in epoch 2)" in outcome.err


@pytest.mark.parametrize("command", ["recommend", "inspect"])
def test_a_run_without_a_checkpoint(beamwise, run, command):
    shutil.rmtree(run / "checkpoint")
    outcome = beamwise(command, run, "--history", "item-0001")
    assert "no checkpoint at" in outcome.complaint


def test_a_damaged_checkpoint(beamwise, run):
    (run / "checkpoint" / "last.safetensors").write_bytes(b"cut")
    assert "is damaged or cut short" in beamwise("inspect", run, "--user", "user-0003").complaint


@pytest.mark.parametrize(("has_gpu", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_foreign_model_is_where_runs_are(monkeypatch, has_gpu, device):
    opened = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(runs, "open_foreign_model", lambda *given: opened.append(given))
    asked = ForeignOptions(Path("m"), Path("c"), max_history=7, data_split="by-time")
    asked.open(Path("d"))
    expected = ForeignModelConfig(
        model=Path("m"), data=Path("d"), catalog=Path("c"), max_history=7, split=ByTimeConfig()
    )
    assert opened == [(expected, device)]
    assert ForeignOptions().open(None) is None


def test_an_unknown_split_of_a_foreign_model_is_refused():
    with pytest.raises(ValueError, match=r"split.*'by-hand'.*leave-one-out.*by-time"):
        ForeignOptions(Path("m"), Path("c"), data_split="by-hand").open(Path("d"))


def test_what_a_foreign_model_reads_is_told(beamwise, tiny, foreign, tmp_path):
    outcome = beamwise(
        "evaluate", "--survival", "--model", foreign, "--catalog", tiny / "data" / "catalog",
        "--data", tiny / "data", "--html", tmp_path / "page.html", "--max-history", 3,
        "--set", "max_users=2", "--set", "timed_users=1", "--json",
    )  # fmt: skip
    assert f"{foreign}: reads the latest 3 items of a history" in outcome.err
    assert "leave-one-out" in outcome.err


@pytest.mark.parametrize("options", [(), ("--survival", "--set", "max_users=2")])
def test_an_unfinished_run_is_named_before_it_is_measured(beamwise, unfinished, options):
    outcome = beamwise("evaluate", unfinished, "--json", *options)
    assert outcome.status == 0
    assert f"{unfinished}: training is not finished (in epoch 2)" in outcome.err
