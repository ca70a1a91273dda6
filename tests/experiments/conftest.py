"""One trained run for all tests of experiments."""

from pathlib import Path

import pytest

from beamwise.testing.tiny_run import TINY_TOKENIZER, tiny_run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A run folder that tests may read; those that write copy it."""
    return tiny_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def fitted(tmp_path_factory) -> Path:
    """As `tiny`, on data with a tokenizer that can code further items."""
    return tiny_run(tmp_path_factory.mktemp("fitted"), TINY_TOKENIZER)
