"""Commands that could not run in an archive are refused before it is written."""

from pathlib import Path

import pytest
import yaml

from beamwise.experiments.archive_commands import checked_commands, config_files, read_commands
from beamwise.testing.tiny_run import tiny_config

TABLE = ["reproduce", "table1", "--dataset", "office", "--backbone", "tiger"]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A comparison in the working folder, on data/tiny."""
    monkeypatch.chdir(tmp_path)
    settings = tiny_config(Path("unused"), Path("data/tiny")).model_dump(mode="json")
    Path("configs").mkdir()
    Path("configs/base.yaml").write_text(
        yaml.safe_dump({key: settings[key] for key in ("data", "backbone", "evaluation")})
    )
    content = {"base": "configs/base.yaml", "methods": [{"name": "ce"}]}
    Path("mine.yaml").write_text(yaml.safe_dump(content))
    return Path("mine.yaml")


def test_commands_of_a_file(tmp_path):
    text = "# mine\nbeamwise reproduce table1 --set 'a=[1, 2]'\n\nreproduce table3  # later\n"
    (tmp_path / "commands").write_text(text)
    expected = [["reproduce", "table1", "--set", "a=[1, 2]"], ["reproduce", "table3"]]
    assert read_commands(tmp_path / "commands") == expected


@pytest.mark.parametrize("text", [None, "reproduce 'table1"])
def test_a_file_that_is_not_readable_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "commands").write_text(text)
    with pytest.raises(ValueError, match="is not readable as a list of commands"):
        read_commands(tmp_path / "commands")


def test_results_are_where_they_are_looked_for():
    assert checked_commands([TABLE], ["office"]) == [[*TABLE, "--out", "results"]]
    given = [*TABLE, "--out", "results/mine"]
    assert checked_commands([given], ["office"]) == [given]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", "--data", "x"], "an archive runs `reproduce EXPERIMENT ...`, got 'train"),
        (["reproduce"], "an archive runs"),
        (["reproduce", "--json"], "an archive runs"),
        ([*TABLE, "--budget", "9m"], "leave it out, `sh run BUDGET` gives it"),
        ([*TABLE, "--budget=9m"], "leave it out"),
        ([*TABLE, "--out", "/runs"], "--out /runs in .* an archive has results in results"),
        ([*TABLE, "--out=results/../x"], "an archive has results in results"),
        (["reproduce", "table1", "--dataset=office, beauty"], "reads data/beauty, which is not"),
        ([*TABLE, "--data", "/data/office"], "reads /data/office, which is not packed: .*office"),
    ],
)
def test_what_an_archive_cannot_run_is_refused(command, message):
    with pytest.raises(ValueError, match=message):
        checked_commands([command], ["office"])


def test_there_is_something_to_run():
    with pytest.raises(ValueError, match="no commands to run"):
        checked_commands([], ["office"])


def test_the_data_of_a_comparison_are_packed(config):
    command = ["reproduce", "objectives", "--config", "mine.yaml"]
    assert checked_commands([command], ["tiny"])
    with pytest.raises(ValueError, match="reads data/tiny, which is not packed"):
        checked_commands([command], ["office"])
    moved = [*command, "--set", "settings.data.folder=data/office"]
    assert checked_commands([moved], ["office"])
    assert checked_commands([[*command, "--data", "data/office"]], ["office"])


def test_files_of_settings_come_with_what_they_name(config):
    command = ["reproduce", "objectives", "--config=./mine.yaml"]
    assert config_files([command, command, TABLE]) == [config, Path("configs/base.yaml")]


def test_files_that_would_have_another_name_are_refused(config, tmp_path):
    for path in (tmp_path / "mine.yaml", "../x/mine.yaml", "results/mine.yaml", ""):
        with pytest.raises(ValueError, match=r"cannot be packed under that name|is a folder"):
            config_files([["reproduce", "objectives", "--config", str(path)]])
    with pytest.raises(ValueError, match=r"no config file at configs/other\.yaml"):
        config_files([["reproduce", "objectives", "--config", "configs/other.yaml"]])
    content = yaml.safe_load(config.read_text()) | {"base": str(tmp_path / "configs/base.yaml")}
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r"base\.yaml cannot be packed under that name"):
        config_files([["reproduce", "objectives", "--config", "mine.yaml"]])
