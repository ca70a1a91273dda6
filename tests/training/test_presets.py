"""Presets are complete but for where data and run lie, and can be changed."""

import pytest

from beamwise.config import read_config
from beamwise.training.config import RunConfig
from beamwise.training.presets import PRESETS, preset

PLACES = ("out=run", "data.folder=data")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_run(name):
    config = read_config(RunConfig, None, PLACES, preset(name))
    given = preset(name)["backbone"]
    assert config.backbone.name == given["name"]
    for key in given.keys() & {"dim", "model"}:
        assert getattr(config.backbone, key) == given[key]


def test_a_file_and_an_override_change_a_preset_in_part(tmp_path):
    (tmp_path / "mine.yaml").write_text("training: {epochs: 3}\nobjective: {name: apao-pointwise}")
    config = read_config(
        RunConfig, tmp_path / "mine.yaml", [*PLACES, "training.seed=7"], preset("small")
    )
    training = preset("small")["training"] | {"epochs": 3, "seed": 7}
    assert config.training.model_dump(include=set(training)) == training
    assert config.objective.name == "apao-pointwise"


@pytest.mark.parametrize("name", ["tiger", "llama"])
def test_published_sizes_are_the_defaults(name):
    config = read_config(RunConfig, None, PLACES, preset(f"apao-{name}"))
    default = read_config(RunConfig, None, [*PLACES, f"backbone.name={name}"])
    changed = {"negatives"}
    assert config.model_dump(exclude=changed) == default.model_dump(exclude=changed)
    assert config.negatives.count == 100


def test_an_unknown_preset_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="unknown preset 'smal'; did you mean 'small'"):
        preset("smal")
    with pytest.raises(
        ValueError,
        match="unknown preset 'x'; choose one of apao-llama, apao-tiger, ",
    ):
        preset("x")
