"""What is told to run after titles are tokenized runs as it stands."""

import shlex
import shutil

import pytest

from beamwise.cli.title_training import training_command
from beamwise.config import read_config
from beamwise.testing.tiny_language_models import tiny_model
from beamwise.tokenization.title_tokenizer import TitlesConfig, TitleTokenizer
from beamwise.training.config import CONFIG_FILE, RunConfig

SMALL = ("training.epochs=1", "training.batch_size=256", "early_stopping.metric=loss")
SMALL_TINY = ("backbone.tiny.dim=8", "backbone.tiny.num_layers=1", "backbone.tiny.num_heads=2")


@pytest.fixture
def data(titled, tmp_path):
    """The shop with its titles' tokens, in a folder whose name a shell would part."""
    return shutil.copytree(titled / "data", tmp_path / "my data")


def run_small(beamwise, command, *settings):
    """Run a command as printed, at a tiny size."""
    program, *arguments = shlex.split(command)
    assert program == "beamwise"
    asked = [part for text in settings for part in ("--set", text)]
    outcome = beamwise(*arguments, *asked)
    assert outcome.status == 0, outcome.err


def test_the_next_command_runs_and_its_result_is_counted_by_title(
    beamwise, data, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run_small(beamwise, training_command(data, TitlesConfig()), *SMALL, *SMALL_TINY)
    config = read_config(RunConfig, tmp_path / "runs" / "first" / CONFIG_FILE)
    assert config.data.max_history == 10
    assert config.backbone.prompt.template == "{history}\n"
    assert config.evaluation.mask == "before"
    outcome = beamwise("evaluate", "runs/first", "--set", "ks=[5]")
    assert "beam search, by title" in " ".join(outcome.out.split())
    assert "semantic ID" not in outcome.out


def test_another_model_is_trained_with_adapters(beamwise, data, tmp_path, monkeypatch):
    tokenizer = TitleTokenizer.load(data / "tokenizer")
    tiny_model(vocab_size=tokenizer.vocab_size).save_pretrained(tmp_path / "model")
    tokenizer.text.save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    command = training_command(data, TitlesConfig(model="./model"))
    run_small(beamwise, command, *SMALL)
    config = read_config(RunConfig, tmp_path / "runs" / "first" / CONFIG_FILE)
    assert config.backbone.lora.r == 8


def test_published_targets_are_those_of_the_command(tmp_path):
    assert "data.split.name" not in training_command(tmp_path, TitlesConfig())
    (tmp_path / "targets.parquet").touch()
    assert "--set data.split.name=published" in training_command(tmp_path, TitlesConfig())
