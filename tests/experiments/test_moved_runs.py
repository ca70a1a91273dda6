"""A run that was moved is the same run; its config can be told where it lies."""

from pathlib import Path

import pytest

from beamwise.config import read_config, write_config
from beamwise.experiments.moved_runs import (
    relative_source,
    relocated,
    runs_in,
    settle,
    unplaced,
)
from beamwise.testing.tiny_run import tiny_config
from beamwise.training.config import RunConfig


def made_at(place: str, source: str | None = None) -> RunConfig:
    """A run of an archive at a place, which begins with another one's weights."""
    config = tiny_config(Path(place, "results/later/seed-0"), Path(place, "data/tiny"))
    start_from = None if source is None else Path(place, "results", source)
    return config.model_copy(update={"start_from": start_from})


def write(config: RunConfig, run: Path) -> None:
    run.mkdir(parents=True)
    write_config(config, run / "config.yaml")


def test_the_way_between_runs_stays():
    moved = relocated(made_at("/there", "ce/seed-0"), Path("/here/later/seed-0"), Path("/data"))
    assert moved.out == Path("/here/later/seed-0")
    assert moved.start_from == Path("/here/ce/seed-0")
    assert moved.data.folder == Path("/data")
    assert relative_source(moved) == "../../ce/seed-0"
    assert relocated(made_at("/there"), Path("/here"), Path("/data")).start_from is None


def test_places_tell_no_runs_apart():
    config = made_at("/there", "ce/seed-0")
    assert unplaced(config) == unplaced(made_at("/here", "ce/seed-0"))
    assert unplaced(config) != unplaced(made_at("/there", "ce/seed-1"))
    assert unplaced(config) != unplaced(made_at("/there"))
    other = config.model_copy(update={"data": config.data.model_copy(update={"max_history": 3})})
    assert unplaced(config) != unplaced(other)


def test_runs_are_found_and_nothing_else(tmp_path):
    for place in ("b/seed-1", "a/point=1/seed-0", "b/.seed-2.incoming", "b/.kept/seed-3", "b/mine"):
        write(made_at("/there"), tmp_path / place)
    (tmp_path / "b" / "seed-4").mkdir()
    found = [run.relative_to(tmp_path).as_posix() for run in runs_in(tmp_path)]
    assert found == ["a/point=1/seed-0", "b/seed-1"]


@pytest.mark.parametrize("place", ["", "/there"])
def test_an_archive_settles_wherever_it_lies(tmp_path, place):
    """Relative as it was packed, or where it ran before."""
    run = tmp_path / "results" / "later" / "seed-0"
    write(made_at(place, "ce/seed-0"), run)
    settle(tmp_path)
    path = run / "config.yaml"
    assert read_config(RunConfig, path) == made_at(str(tmp_path), "ce/seed-0")
    before = path.stat().st_mtime_ns
    settle(tmp_path)
    assert path.stat().st_mtime_ns == before
