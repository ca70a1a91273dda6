"""Trained runs for all tests of serving."""

from pathlib import Path

import pytest

from beamwise.serving import Recommender, load
from beamwise.testing.tiny_run import TINY_TOKENIZER, tiny_run


@pytest.fixture(scope="session")
def recommender(tmp_path_factory) -> Recommender:
    return load(tiny_run(tmp_path_factory.mktemp("tiny")), device="cpu")


@pytest.fixture(scope="session")
def fitted(tmp_path_factory) -> Path:
    """A run on data with a tokenizer that can code further items, for reading only."""
    return tiny_run(tmp_path_factory.mktemp("fitted"), TINY_TOKENIZER)
