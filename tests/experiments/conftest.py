"""One trained run for all tests of experiments."""

from pathlib import Path

import pytest

from beamwise.testing.tiny_run import tiny_run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A run folder that tests may read; those that write copy it."""
    return tiny_run(tmp_path_factory.mktemp("tiny"))
