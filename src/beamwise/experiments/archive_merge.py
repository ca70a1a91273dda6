"""Results that another machine brought back, put into a store of runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from beamwise.catalog import Catalog
from beamwise.config import read_config
from beamwise.data.dataset import CATALOG_FOLDER
from beamwise.experiments.comparison_claim import claimed
from beamwise.experiments.moved_runs import (
    DATA_FOLDER,
    RESULTS_FOLDER,
    relative_source,
    relocated,
    runs_in,
    unplaced,
)
from beamwise.experiments.placed_run import beside, put_run, recover_run
from beamwise.experiments.run_state import check_whole, state_of
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, weights_version
from beamwise.training.config import CONFIG_FILE, DataConfig, RunConfig
from beamwise.training.provenance import Origin
from beamwise.training.run_data import RunData


@dataclass(frozen=True)
class MergeSummary:
    """What became of every run of some results, each by its folder in them."""

    merged: tuple[str, ...]
    """Now in the store as the results have them."""
    unchanged: tuple[str, ...]
    """They add nothing to what the store has."""
    refused: tuple[str, ...]
    """Why the others were not merged, a line each."""

    @property
    def is_complete(self) -> bool:
        """Whether none was refused."""
        return not self.refused


def merge(results: Path, store: Path, *, data: Mapping[str, Path] | None = None) -> MergeSummary:
    """Put the runs of an archive's folder `results` into a store, those that are further there.

    A run takes its place in the store in one step, with a config that names the folders here. What
    the store has finished is kept; tests and reports that it lacks are added where its weights are
    the same. A run is refused, and nothing lost, where it is damaged, was made with other settings,
    data or catalog than the store or the data have here, begins with other weights than the store
    has, or a process is at it. A merge that was cut short is completed by the next.

    Args:
        results: The folder that was carried back; it is only read.
        store: The folder of runs, as `--out` names it.
        data: Where the data of the archive lie here, by name; `data/NAME` where not given.

    Raises:
        ValueError: If `results` holds no runs, or is the store or lies within it, or around it.
    """
    results, store = results.resolve(), store.resolve()
    if results in (store, *store.parents) or store in results.parents:
        raise ValueError(f"{results} and {store} hold each other: name results from elsewhere")
    runs = list(runs_in(results)) if results.is_dir() else []
    if not runs:
        raise ValueError(f"no runs in {results}: give the folder results of an archive that ran")
    if (results / RESULTS_FOLDER).is_dir():
        raise ValueError(f"{results} is a whole archive: give {results / RESULTS_FOLDER}")
    merging = _Merging(results, store, data or {})
    merged: list[str] = []
    unchanged: list[str] = []
    refused: list[str] = []
    for run in _sources_first(runs):
        label = run.relative_to(results).as_posix()
        try:
            (merged if merging.take(run) else unchanged).append(label)
        except (ValueError, OSError) as error:
            refused.append(f"{label}: {' '.join(str(error).split())}")
    return MergeSummary(tuple(merged), tuple(unchanged), tuple(refused))


class _Merging:
    """Takes runs one by one."""

    def __init__(self, results: Path, store: Path, data: Mapping[str, Path]) -> None:
        self._results, self._store, self._data = results, store, data
        self._read: dict[str, RunData] = {}

    def take(self, run: Path) -> bool:
        """Put a run into the store where it adds to it; whether it did.

        Raises:
            ValueError: If it is refused.
        """
        if not state_of(run).is_begun:
            return False
        target = self._store / run.relative_to(self._results)
        here = self._config_here(run, target)
        was_killed = any(path.exists() for path in beside(target))
        if not was_killed and not self._adds(run, here):
            return False
        with _left_alone(run) as is_free, claimed(target) as is_ours:
            if not is_free or not is_ours:
                where = "there" if is_ours else "in the store"
                raise ValueError(f"another process is at it {where}: merge again when it is done")
            recover_run(target)
            if not self._adds(run, here):  # others may have gone on until we had it
                return False
            check_whole(run)
            self._check_source(run, here)
            put_run(run, here)
            return True

    def _config_here(self, run: Path, target: Path) -> RunConfig:
        """The run's settings with the folders here, whose data were checked to be the same."""
        config = read_config(RunConfig, run / CONFIG_FILE)
        name = config.data.folder.name
        folder = self._data.get(name, Path(DATA_FOLDER, name))
        if not folder.is_dir():
            raise ValueError(f"its data {name!r} are not at {folder}: say where they are")
        here = relocated(config, target, folder.resolve())
        data, origin = self._data_of(here.data), Origin.load(run)
        catalog = Catalog.load(run / CATALOG_FOLDER).version
        if catalog != data.catalog.version:
            raise ValueError(
                f"trained with catalog {catalog}, {folder} has {data.catalog.version}: give the "
                "data that were packed"
            )
        if origin is not None and origin.data != data.version:
            raise ValueError(
                f"trained on data {origin.data}, {folder} has {data.version}, with other users, "
                "interactions or targets: give the data that were packed"
            )
        return here

    def _data_of(self, config: DataConfig) -> RunData:
        key = config.model_dump_json()
        if key not in self._read:
            self._read[key] = RunData.load(config)
        return self._read[key]

    def _adds(self, run: Path, here: RunConfig) -> bool:
        """Whether the run has something that the store has not.

        Raises:
            ValueError: If the store has something else in that place.
        """
        target = here.out
        if not (target / CONFIG_FILE).is_file():
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise ValueError(f"{target} exists and is not a run folder: remove it")
            return True
        _check_same_run(run, here)
        theirs, ours = state_of(run), state_of(target)
        if not ours.is_finished:
            return theirs.stages > ours.stages
        is_same = theirs.is_finished and _weights(run) == _weights(target)
        return is_same and not theirs.results <= ours.results

    def _check_source(self, run: Path, here: RunConfig) -> None:
        """Refuse a run whose weights come from others than those that the store has."""
        source = relative_source(here)
        if source is None or here.start_from is None:
            return
        there = _weights(Path(os.path.normpath(run / source)))
        if there is None or there != _weights(here.start_from):
            raise ValueError(
                f"it begins with {source}, and the store has no such run with the same weights: "
                "delete that run in the store to take both, or train this one there"
            )


def _weights(run: Path) -> str | None:
    return weights_version(run / CHECKPOINT_FOLDER)


def _check_same_run(run: Path, here: RunConfig) -> None:
    """Refuse a run in whose place the store has another."""
    target = here.out
    theirs, ours = unplaced(here), unplaced(read_config(RunConfig, target / CONFIG_FILE))
    if changed := [key for key in ours if ours[key] != theirs[key]]:
        raise ValueError(
            f"the store has that run with other settings ({', '.join(changed)}): choose another "
            "store, or delete it there"
        )
    versions = [Catalog.load(each / CATALOG_FOLDER).version for each in (run, target)]
    origins = [Origin.load(each) for each in (run, target)]
    versions += [origin.data for origin in origins if origin is not None]
    catalogs, data = set(versions[:2]), set(versions[2:])
    for what, found in (("catalog", catalogs), ("data", data)):
        if len(found) > 1:
            raise ValueError(
                f"the store has that run with another {what} ({' and '.join(sorted(found))}): "
                "choose another store, or delete it there"
            )


@contextmanager
def _left_alone(run: Path) -> Iterator[bool]:
    """Keep a run of the results from going on; gives whether nobody was at it.

    Unlike a claim it writes nothing, so that results may lie where nothing can be written.
    """
    lock = run.with_name(f"{run.name}.lock")
    if not lock.is_file():
        yield True
        return
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _sources_first(runs: list[Path]) -> list[Path]:
    """The same runs, each after the one whose weights it begins with."""
    ordered: dict[Path, None] = {}

    def take(run: Path, above: tuple[Path, ...] = ()) -> None:
        if run in ordered or run not in runs or run in above:
            return
        if (source := _source_of(run)) is not None:
            take(source, (*above, run))
        ordered[run] = None

    for run in runs:
        take(run)
    return list(ordered)


def _source_of(run: Path) -> Path | None:
    """The run that a run begins with; None where it has none, or a damaged config."""
    try:
        source = relative_source(read_config(RunConfig, run / CONFIG_FILE))
    except ValueError:
        return None
    return None if source is None else Path(os.path.normpath(run / source))
