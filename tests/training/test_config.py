from pathlib import Path

import pytest

from beamwise.config import ConfigError, read_config, write_config
from beamwise.data.splitting import ByTimeConfig, LeaveOneOutConfig
from beamwise.objectives.prefix_alignment import PairwisePrefixAlignmentConfig
from beamwise.training.config import RunConfig

PRESETS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_are_valid_and_name_their_run_folder(path):
    config = read_config(RunConfig, path)
    assert config.out == Path("runs") / path.stem


def test_the_papers_setting_is_the_default(tmp_path):
    preset = read_config(RunConfig, Path(__file__).parents[2] / "configs/office-tiger-ce.yaml")
    default = RunConfig(out=preset.out, data=preset.data)
    assert preset == default


def test_a_written_config_reads_back_equal(tmp_path):
    config = read_config(
        RunConfig, PRESETS[0], ["objective.name=apao-pairwise", "objective.beta=0.4"]
    )
    write_config(config, tmp_path / "config.yaml")
    assert read_config(RunConfig, tmp_path / "config.yaml") == config
    text = (tmp_path / "config.yaml").read_text()
    assert "checkpoint_steps:" in text  # defaults are written out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", "unknown setting 'training.epoch'; did you mean 'epochs'"),
        ("backbone.dimm=3", "did you mean 'dim'"),
        ("objective.name=apao", "unknown objective.name 'apao'; choose one of ce, apao-pointwise"),
        ("objective.betta=3", "unknown setting 'objective.betta'"),
        (
            "data.split.name=time",
            "unknown data.split.name 'time'; choose one of leave-one-out, by-",
        ),
        ("data.split.test=0.2", "unknown setting 'data.split.test'"),
        ("data.split={name: by-time, test: 0.95}", "validation=0.1 and test=0.95 leave nothing"),
        ("training.epochs=0", "training.epochs: should be greater than 0 (got 0)"),
        ("training.precision=x", "training.precision: should be 'fp32' or 'bf16' (got 'x')"),
        ("early_stopping.metric=auc", "early_stopping.metric: 'auc' is not accepted: `loss` of"),
        ("objective=msl", "objective: should be a group of settings: write objective.name (got"),
        ("training=3", "training: should be a group of settings (got 3)"),
        ("stages=null", "settings: stages: should be a list (got None)"),
        ("stages=[{epochs: 1}]", "stages.0.objective is not set: What the stage minimises."),
        ("stages=[{objective: {beta: 1}}]", "stages.0.objective.name is not set: What the stage"),
        ("objective={name: bear, beam_width: 0}", "objective.beam_width: should be greater than 0"),
        ("objective={name: bear, beam_width: [3, 0]}", "objective.beam_width.1: should be greater"),
        (
            "objective={name: bear, beam_width: a}",
            "objective.beam_width: should be a whole number or a list (got 'a')",
        ),
        (
            "objective={name: dpo, reference: null}",
            "objective.reference: should be 'initial-weights' or 'none' or a path (got None)",
        ),
        ("early_stopping.metric=recall@7", "evaluation.ks=[5, 10, 20]: add 7 to them"),
    ],
)
def test_wrong_settings_get_one_line_that_names_them(override, message):
    with pytest.raises(ConfigError) as error:
        read_config(RunConfig, PRESETS[0], [override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_config_of_before_splits_leaves_one_out(tmp_path):
    (tmp_path / "old.yaml").write_text("out: x\ndata:\n  folder: y\n  max_history: 20\n")
    assert read_config(RunConfig, tmp_path / "old.yaml").data.split == LeaveOneOutConfig()


def test_a_split_by_time_is_written_and_read(tmp_path):
    asked = ["data.split.name=by-time", "data.split.test=0.2"]
    config = read_config(RunConfig, PRESETS[0], asked)
    assert config.data.split == ByTimeConfig(validation=0.1, test=0.2)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(RunConfig, tmp_path / "config.yaml") == config


def test_folders_must_be_set():
    with pytest.raises(
        ConfigError, match=r"data is not set: The prepared and tokenized data: `data\.folder`"
    ):
        read_config(RunConfig, None, ["out=x"])


def test_another_component_has_none_of_the_settings_of_the_one_before(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("objective: {name: ce, level_weights: [2, 1]}\ndata: {folder: d}\nout: o\n")
    config = read_config(RunConfig, path, ["objective.beta=0.7", "objective.name=apao-pairwise"])
    assert config.objective == PairwisePrefixAlignmentConfig(beta=0.7)
    assert read_config(RunConfig, path, ["objective.name=ce"]).objective.level_weights == (2, 1)


def test_stream_settings_without_a_stream_are_refused(tmp_path):
    settings = ["out=o", "data.folder=d", "training.stream_items=60"]
    with pytest.raises(ConfigError, match="stream_items=60 with packing=window"):
        read_config(RunConfig, None, settings)


def test_a_misspelt_setting_of_a_stage_is_named_with_its_place():
    stages = "stages=[{objective: {name: ce}}, {objective: {name: s-dpo, bta: 1}}]"
    with pytest.raises(ConfigError, match=r"'stages.1.objective.bta'; did you mean 'beta'"):
        read_config(RunConfig, None, ["out=o", "data.folder=d", stages])
