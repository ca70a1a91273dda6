"""Train and evaluate the runs of a comparison, one by one, beside other processes that do so."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from beamwise.experiments.comparison_claim import claimed
from beamwise.experiments.evaluate_run import evaluate
from beamwise.experiments.objective_comparison import (
    Comparison,
    PlannedRun,
    Step,
)
from beamwise.experiments.placed_run import put_run, recover_run
from beamwise.experiments.same_runs import SameRuns
from beamwise.experiments.survival_report import survival_report
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, is_finished
from beamwise.training.run import train

WORDS: dict[Step, str] = {
    "training": "training",
    "test": "ranking the test targets of",
    "survival report": "following the beams of",
}
POLL_SECONDS = 2.0
"""Between looks at runs that other processes are at."""
Aim = tuple[Path, bool]
"""A run folder, and whether its run is to be tested as well."""


class BudgetSpentError(Exception):
    """There is no time for more; all that was done is kept."""


class Budget:
    """Time to work in; a run is cut short at a checkpoint, so that nothing is done twice."""

    def __init__(self, seconds: float = math.inf) -> None:
        self._deadline = time.monotonic() + seconds
        self._worked = False

    def check(self, needed: float = 0.0) -> None:
        """Stop where something that takes so many seconds would not come to its end.

        What comes first is begun however long it takes, or there would never be an end.

        Raises:
            BudgetSpentError: If it would not.
        """
        if self._worked and time.monotonic() + needed > self._deadline:
            raise BudgetSpentError
        self._worked = True


def _unheard() -> None:
    """What need not be told."""


@dataclass(frozen=True)
class ComparisonWatcher:
    """Told what a comparison does."""

    step: Callable[[str], None]
    """A new step, in words."""
    training: Callable[[dict[str, Any]], None]
    """As `training.run.train` tells."""
    finished: Callable[[], None] = _unheard
    """All that was to be done of a run is done, and nobody's claim is on it."""


class _Job(NamedTuple):
    """Train a run, and test it where it stands for its method."""

    run: PlannedRun
    tested: bool


def run_comparison(
    comparison: Comparison,
    methods: Sequence[str],
    seeds: Sequence[int],
    watcher: ComparisonWatcher,
    budget: Budget | None = None,
) -> None:
    """Train, test and diagnose what is missing of some methods and seeds, seed by seed.

    What others start from and what grids need is trained as well. A finished run is left alone, an
    interrupted one continued. Any number of processes may work on one folder: each claims the run
    that it is at, takes the next that nobody has, and at the end waits for what the others have
    begun, ready to take it over should they be stopped.

    Raises:
        BudgetSpentError: If the budget is spent before all is done.
        ValueError: If a folder holds a run of other settings, data are missing or unfit, or this is
            one of several processes of torch.distributed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "a comparison does not run under a launcher of several processes: "
            "start the same command several times instead, and they share the runs"
        )
    is_waiting = False
    worker = _Worker(comparison, watcher, budget or Budget())
    done: set[Aim] = set()
    while pending := _pending(comparison, methods, seeds, done):
        if any(worker.advance(job) for job in pending):
            watcher.finished()
            is_waiting = False
            continue
        worker.budget.check()
        if not is_waiting:
            watcher.step(f"waiting for {pending[0].run.label}, which another process is at")
            is_waiting = True
        time.sleep(POLL_SECONDS)


def _pending(
    comparison: Comparison, methods: Sequence[str], seeds: Sequence[int], done: set[Aim]
) -> list[_Job]:
    """What is still to do, in order and each once; adds to `done` what is not."""
    jobs: dict[Aim, _Job] = {}
    for seed in seeds:
        for method in methods:
            final = comparison.final_run(method, seed)
            for run in comparison.needed(method, seed):
                tested = final is not None and run.folder == final.folder
                jobs[run.folder, tested] = _Job(run, tested)
    left = (aim for aim in jobs if aim not in done)
    done.update([aim for aim in left if not comparison.steps_left(*jobs[aim])])
    return [job for aim, job in jobs.items() if aim not in done]


@dataclass(frozen=True)
class _Worker:
    """Does jobs, one at a time."""

    comparison: Comparison
    watcher: ComparisonWatcher
    budget: Budget

    def advance(self, job: _Job) -> bool:
        """Do a job, if it can begin and nobody else is at it; whether it is done now."""
        start_from = job.run.config.start_from
        if start_from is not None and not is_finished(start_from / CHECKPOINT_FOLDER):
            return False
        with claimed(job.run.folder) as is_ours:
            if not is_ours:
                return False
            return self._do(job)

    def _do(self, job: _Job) -> bool:
        """Do what is left of a job; False where it waits for a run that another process is at."""
        run, config = job.run, self.comparison.config
        try:
            if not self._is_taken(run):
                return False
        except ValueError as error:
            raise ValueError(f"{run.label}: {error}") from None
        steps: dict[Step, Callable[[], object]] = {
            "training": lambda: train(run.config, self._trained),
            "test": lambda: evaluate(run.folder, "test", run.tested_with(config.evaluation)),
            "survival report": lambda: survival_report(
                run.folder, "test", run.diagnosed_with(config.survival)
            ),
        }
        try:
            for step in self.comparison.steps_left(run, job.tested):
                self.budget.check(self._needed(run, step))
                self.watcher.step(f"{WORDS[step]} {run.label}")
                steps[step]()
        except ValueError as error:
            raise ValueError(f"{run.label}: {error}") from None
        return True

    def _is_taken(self, run: PlannedRun) -> bool:
        """Copy the same run from under another name, if there is one and its place is free.

        False where there is one and another process is at it.
        """
        recover_run(run.folder)
        if run.folder.exists():
            return True
        same = SameRuns(self.comparison.out).of(run)
        if same is None:
            return True
        with claimed(same) as is_ours:
            if is_ours:
                name = same.relative_to(self.comparison.out)
                self.watcher.step(f"{run.label} is the same run as {name}, which is there")
                put_run(same, run.config)
            return is_ours

    def _needed(self, run: PlannedRun, step: Step) -> float:
        """Seconds below which a step is not begun; training can stop anywhere."""
        if step == "training":
            return 0.0
        return self.comparison.step_seconds(step, run.config.evaluation.mask) or 0.0

    def _trained(self, step: dict[str, Any]) -> None:
        self.watcher.training(step)
        if step["saved"]:
            self.budget.check()
