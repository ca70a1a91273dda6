"""One trained run for all tests of experiments."""

import shutil
from pathlib import Path

import pytest
import yaml

from beamwise.config import changed_config, read_config, write_config
from beamwise.experiments.comparison_config import ComparisonConfig, select
from beamwise.experiments.comparison_runner import ComparisonWatcher, run_comparison
from beamwise.experiments.objective_comparison import Comparison
from beamwise.testing.tiny_run import TINY_TOKENIZER, tiny_config, tiny_data, tiny_run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A run folder that tests may read; those that write copy it."""
    return tiny_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def fitted(tmp_path_factory) -> Path:
    """As `tiny`, on data with a tokenizer that can code further items."""
    return tiny_run(tmp_path_factory.mktemp("fitted"), TINY_TOKENIZER)


@pytest.fixture(scope="session")
def comparison_file(tmp_path_factory) -> Path:
    """Settings of a comparison on the tiny shop: a baseline, a grid, another objective, a stage."""
    folder = tmp_path_factory.mktemp("comparison")
    base = tiny_config(folder / "unused", tiny_data(folder / "data"))
    base = changed_config(base, None, ["training.epochs=2", "training.checkpoint_steps=2"])
    write_config(base, folder / "base.yaml")
    settings = yaml.safe_load((folder / "base.yaml").read_text())
    kept = ("data", "backbone", "training", "evaluation")
    (folder / "base.yaml").write_text(yaml.safe_dump({key: settings[key] for key in kept}))
    content = {
        "base": str(folder / "base.yaml"),
        "seeds": [3, 4],
        "evaluation": {"ks": [5, 10], "beam_width": 10, "full_sort": True},
        "resamples": 500,
        "methods": [
            {"name": "ce"},
            {"name": "tuned", "grid": {"training.learning_rate": [1.0e-3, 2.0e-2]}},
            {"name": "apao", "settings": {"objective": {"name": "apao-pointwise", "beta": 0.3}}},
            {"name": "later", "start_from": "tuned", "settings": {"training.epochs": 1}},
        ],
    }
    (folder / "comparison.yaml").write_text(yaml.safe_dump(content))
    return folder / "comparison.yaml"


@pytest.fixture(scope="session")
def finished_comparison(comparison_file, tmp_path_factory) -> Comparison:
    """Every run of it trained and tested; for reading only."""
    config = read_config(ComparisonConfig, comparison_file)
    comparison = Comparison(config, tmp_path_factory.mktemp("finished") / "out")
    methods, seeds = select(config, (), ())
    run_comparison(comparison, methods, seeds, ComparisonWatcher(ignore, ignore))
    return comparison


@pytest.fixture
def own_comparison(finished_comparison, tmp_path) -> Comparison:
    """A moved copy of the finished one, to be damaged or written to."""
    out = shutil.copytree(finished_comparison.out, tmp_path / "moved")
    return Comparison(finished_comparison.config, out)


def ignore(_: object) -> None:
    """Hear nothing."""
