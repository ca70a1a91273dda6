"""Runs are trained, continued and refused."""

import json

import pytest
import yaml

from beamwise.cli import train as command
from beamwise.testing.tiny_run import tiny_config


@pytest.fixture
def config(tiny, tmp_path):
    """A YAML file of the tiny run, without data and out."""
    settings = tiny_config(tmp_path, tiny / "data").model_dump(mode="json")
    del settings["out"], settings["data"]
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def train(beamwise, config, tiny, tmp_path):
    """Call the command for the tiny run into the folder "7", which YAML would read as a number."""

    def call(*arguments, out=tmp_path / "7"):
        given = ("train", "--config", config, "--data", tiny / "data", "--out", out)
        return beamwise(*given, *arguments)

    return call


def test_a_run_is_trained_and_the_same_command_finds_it_finished(train, tmp_path):
    outcome = train()
    assert outcome.status == 0
    assert f"beamwise evaluate {tmp_path / '7'}" in outcome.out
    assert "loss " in outcome.err
    again = train("--json")
    assert "was finished already" in again.err
    summary = json.loads(again.out)
    assert (summary["epochs"], summary["best_epoch"], summary["metric"]) == (1, 0, "ndcg@10")


def test_settings_and_short_options_reach_the_run(train, tmp_path):
    assert train("--set", "objective.name=apao-pairwise", "--set", "negatives.count=3").status == 0
    written = yaml.safe_load((tmp_path / "7" / "config.yaml").read_text())
    assert written["objective"]["name"] == "apao-pairwise"
    assert written["negatives"]["count"] == 3


def test_interruption_says_how_to_go_on(train, monkeypatch):
    def stopped(run, progress):
        progress({"epoch": 1, "step": 9, "steps": 8, "epochs": 2, "loss": 1.0, "targets": 4})
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train_run", stopped)
    outcome = train()
    assert outcome.status == 130
    assert outcome.err.endswith("stopped at epoch 2, step 9; run the same command to continue\n")
    assert outcome.out == ""


def test_other_settings_for_the_same_folder_are_refused(train):
    train()
    assert "other settings (training)" in train("--set", "training.epochs=2").complaint


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("training.epoch=3", "did you mean 'epochs'?"),
        ("objective.name=apao", "choose one of ce, apao-pointwise, apao-pairwise"),
        ("training.epochs=none", "training.epochs"),
        ("training.epochs", "is not key.path=value"),
        ("negatives.count=0", "negatives.count"),
        ("data.folder=nowhere", "no dataset folder at"),
    ],
)
def test_bad_settings_are_named_and_nothing_is_written(
    beamwise, config, tiny, tmp_path, setting, complaint
):
    given = ("train", "--config", config, "--set", f"data.folder={tiny / 'data'}")
    out = tmp_path / "run"
    assert complaint in beamwise(*given, "--set", f"out={out}", "--set", setting).complaint
    assert not out.exists()


def test_what_is_missing_is_named(beamwise, tiny, tmp_path):
    assert "out is not set" in beamwise("train", "--data", tiny / "data").complaint
    assert "data is not set" in beamwise("train", "--out", tmp_path / "run").complaint
    assert "no config file" in beamwise("train", "--config", tmp_path / "no.yaml").complaint


def test_foreign_folders_are_refused(train, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("do not lose")
    assert "is not a run folder" in train(out=folder).complaint
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_a_damaged_checkpoint_is_named(train, tmp_path):
    train()
    checkpoint = tmp_path / "7" / "checkpoint" / "last.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert "damaged or cut short" in train().complaint


def test_settings_are_listed(beamwise):
    outcome = beamwise("train", "--settings")
    assert outcome.status == 0
    assert "training.learning_rate" in outcome.out
    lines = [
        json.loads(line) for line in beamwise("train", "--settings", "--json").out.splitlines()
    ]
    assert {"data.split.name", "backbone.dim", "early_stopping.patience"} <= {
        next(iter(line.values())) for line in lines
    }
