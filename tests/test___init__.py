"""The names of the package, and what importing it costs."""

import subprocess
import sys

import pytest

import beamwise
from beamwise.catalog import Catalog
from beamwise.testing.tiny_run import tiny_config, tiny_data


def test_every_name_resolves():
    assert all(getattr(beamwise, name) is not None for name in dir(beamwise))
    assert beamwise.Catalog is Catalog
    assert "ce" in beamwise.objectives.OBJECTIVES
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = beamwise.evalute


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, beamwise; print({'torch', 'polars', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_command_line_imports_neither_transformers_nor_matplotlib():
    code = "import sys, beamwise.cli.app; print({'transformers', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_train_evaluate_load_recommend(tmp_path):
    run = beamwise.train(tiny_config(tmp_path / "run", tiny_data(tmp_path / "data")))
    assert beamwise.evaluate(run).summary["users"] == 40
    assert len(beamwise.load(run).recommend([["item-0001"]], top_k=10)[0]) == 10
