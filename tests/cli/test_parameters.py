"""Paths as settings."""

from pathlib import Path

import pytest

from beamwise.cli.parameters import setting
from beamwise.config import read_config
from beamwise.training.config import DataConfig


@pytest.mark.parametrize(
    "name",
    ["data/shop", "7", "null", "a: b", 'quo"te', "käse #1", "🍵", "a\u2028b", "%d", "\udc80"],
)
def test_any_path_stays_text(name):
    config = read_config(DataConfig, overrides=[setting("folder", Path(name))])
    assert config.folder == Path(name)
