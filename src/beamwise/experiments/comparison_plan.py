"""What is still to be done of a comparison, and how long that will take."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from beamwise.experiments.objective_comparison import (
    Comparison,
    PlannedRun,
    Step,
)
from beamwise.experiments.same_runs import SameRuns
from beamwise.experiments.throughput import logged_epoch_seconds, measured_epoch_seconds
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, read_progress
from beamwise.training.provenance import processor
from beamwise.training.stages import stages_of

THROUGHPUT_FILE = "throughput.json"
"""Of the folder of a comparison: what was measured for lack of logs."""
State = Literal["done", "to be diagnosed", "to be tested", "to be copied", "begun", "to be trained"]
"""What is to be copied is the same run as one that is there under another name."""


class PlannedWork(NamedTuple):
    """One run of a plan, or one that will follow from a grid that is still being tried."""

    method: str
    label: str
    state: State
    training_seconds: float | None
    """Still to train, by one process, as if training never stopped early; None where unknown."""
    testing_seconds: float | None
    """Of its test, and its survival report where it gets one, as far as they are to be done; None
    where none was timed yet."""


@dataclass(frozen=True)
class Plan:
    """All runs of some methods and seeds of a comparison, in the order in which they are done."""

    works: tuple[PlannedWork, ...]

    @property
    def num_done(self) -> int:
        """Runs with nothing left to do."""
        return sum(work.state == "done" for work in self.works)

    @property
    def seconds(self) -> float:
        """Of what is known to be left, by one process."""
        parts = ((work.training_seconds, work.testing_seconds) for work in self.works)
        return math.fsum(second for both in parts for second in both if second is not None)

    @property
    def is_complete(self) -> bool:
        """Whether every part of it could be estimated."""
        return all(None not in (work.training_seconds, work.testing_seconds) for work in self.works)


def plan(
    comparison: Comparison,
    methods: Sequence[str],
    seeds: Sequence[int],
    measuring: Callable[[str], None] | None = None,
) -> Plan:
    """The runs that `run_comparison` would do, what is done of them, and what the rest will take.

    Seconds of an epoch are those of runs of the same method and settings, of the same method, or
    what a few small steps took on this machine, which is kept in `throughput.json`.

    Args:
        comparison: Whose runs.
        methods: Some of its methods.
        seeds: Some of its seeds.
        measuring: Told of a method whose steps are about to be timed; nothing is timed where not
            given.

    Raises:
        ValueError: If a folder holds a run of other settings or is damaged, or data are unfit.
    """
    estimate = _Estimate(comparison, measuring)
    works: dict[tuple[Path, bool], PlannedWork] = {}
    for seed in seeds:
        for method in methods:
            final = comparison.final_run(method, seed)
            for run in (*_tried(comparison, method), *comparison.needed(method, seed)):
                tested = final is not None and run.folder == final.folder
                key = (run.folder, tested)
                if key not in works:
                    works[key] = estimate.of_run(run, tested)
            if final is None:
                works[comparison.out / method / f"{seed}", True] = estimate.of_later(method, seed)
    folders_tested = {folder for folder, tested in works if tested}
    kept = (w for (folder, tested), w in works.items() if tested or folder not in folders_tested)
    return Plan(tuple(kept))


def _tried(comparison: Comparison, method: str) -> Iterator[PlannedRun]:
    """Runs of a grid that has been decided: what they were needed for is done."""
    points = comparison.methods[method].points
    if len(points) > 1 and comparison.chosen(method) is not None:
        for point in points:
            yield from comparison.trials(method, point)


class _Estimate:
    """What runs take, as far as the folder of a comparison tells."""

    def __init__(self, comparison: Comparison, measuring: Callable[[str], None] | None) -> None:
        self._comparison, self._measuring = comparison, measuring
        self._same = SameRuns(comparison.out)
        self._epochs: dict[tuple[str, str], list[float] | None] = {}
        self._known: dict[tuple[Step, str], float | None] = {}

    def of_run(self, run: PlannedRun, tested: bool) -> PlannedWork:
        left = self._comparison.steps_left(run, tested)
        state: State = "done"
        if "training" in left:
            is_begun = bool(read_progress(run.folder / CHECKPOINT_FOLDER))
            is_there = not is_begun and self._same.of(run) is not None
            state = "begun" if is_begun else "to be copied" if is_there else "to be trained"
        elif left:
            state = "to be tested" if "test" in left else "to be diagnosed"
        is_trained = state == "to be copied" or "training" not in left
        training = 0.0 if is_trained else self._left(run)
        return PlannedWork(run.method, run.label, state, training, self._testing(run, left))

    def of_later(self, method: str, seed: int) -> PlannedWork:
        """A run that waits for a grid: as long as another of its method."""
        label = f"{method}, seed {seed}, once the best settings are known"
        run = next(iter(self._comparison.any_runs(method)))
        seconds = self._whole(run)
        testing = self._testing(run, self._comparison.steps(method))
        return PlannedWork(method, label, "to be trained", seconds, testing)

    def _whole(self, run: PlannedRun) -> float | None:
        of_stages = self._epoch_seconds(run)
        if of_stages is None:
            return None
        configs = run.config.of_stages()
        pairs = zip(configs, of_stages, strict=True)
        return math.fsum(config.training.epochs * seconds for config, seconds in pairs)

    def _left(self, run: PlannedRun) -> float | None:
        whole, of_stages = self._whole(run), self._epoch_seconds(run)
        if whole is None or of_stages is None:
            return None
        stages = stages_of(run.config)
        done = 0.0
        for stage, config, seconds in zip(stages, run.config.of_stages(), of_stages, strict=True):
            progress = read_progress(stage.checkpoints)
            epochs = (
                config.training.epochs if progress.get("finished") else progress.get("epoch", 0)
            )
            done += epochs * seconds
        return whole - done

    def _epoch_seconds(self, run: PlannedRun) -> list[float] | None:
        key = (run.method, run.point)
        if key not in self._epochs:
            self._epochs[key] = self._logged(run) or self._measured(run)
        return self._epochs[key]

    def _logged(self, run: PlannedRun) -> list[float] | None:
        every = list(self._comparison.any_runs(run.method))
        alike = [other.folder for other in every if other.point == run.point]
        for folders in (alike, [other.folder for other in every]):
            numbers = range(len(run.config.of_stages()))
            found = [logged_epoch_seconds(folders, number) for number in numbers]
            known = [seconds for seconds in found if seconds is not None]
            if len(known) == len(found):
                return known
        return None

    def _measured(self, run: PlannedRun) -> list[float] | None:
        path = self._comparison.out / THROUGHPUT_FILE
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        name = f"{processor()}: {run.method} {run.point}".strip()
        if name not in kept:
            if self._measuring is None:
                return None
            self._measuring(run.method)
            kept[name] = measured_epoch_seconds(run.config)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{os.getpid()}.{path.name}")
            unfinished.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            unfinished.replace(path)
        return kept[name]

    def _testing(self, run: PlannedRun, left: Sequence[Step]) -> float | None:
        """As long as the tests and reports took that masked alike."""
        seconds: list[float] = []
        for step in left:
            if step == "training":
                continue
            key = (step, run.config.evaluation.mask)
            if key not in self._known:
                self._known[key] = self._comparison.step_seconds(*key)
            known = self._known[key]
            if known is None:
                return None
            seconds.append(known)
        return math.fsum(seconds)
