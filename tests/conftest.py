"""What all tests share: shapes checked at run time, one thread a process, settings, real data."""

import os
from pathlib import Path

import hypothesis
import pytest
from jaxtyping import install_import_hook

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch loads; child processes inherit it
    import torch

    torch.set_num_threads(1)

install_import_hook("beamwise", "beartype.beartype")

hypothesis.settings.register_profile(
    "beamwise",
    deadline=None,
    database=None,
    derandomize="CI" in os.environ,
    # Generation is slow when other processes hold the cores, which says nothing about a test.
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("beamwise")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the real data sets; tests that need it are skipped where it is absent."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BEAMWISE_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}: set BEAMWISE_DATA to their folder")
    return folder
