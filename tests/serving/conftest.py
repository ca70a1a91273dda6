"""One trained run for all tests of serving."""

import pytest

from beamwise.serving import Recommender, load
from beamwise.testing.tiny_run import tiny_run


@pytest.fixture(scope="session")
def recommender(tmp_path_factory) -> Recommender:
    return load(tiny_run(tmp_path_factory.mktemp("tiny")), device="cpu")
