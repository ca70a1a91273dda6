"""Train and evaluate the runs of a comparison, one by one, beside other processes that do so."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from beamwise.evaluation import EvaluationConfig
from beamwise.experiments.comparison_claim import claimed
from beamwise.experiments.evaluate_run import evaluate
from beamwise.experiments.objective_comparison import CHECKPOINT_FOLDER, Comparison, PlannedRun
from beamwise.training.checkpoint import is_finished
from beamwise.training.run import train

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


@dataclass(frozen=True)
class ComparisonWatcher:
    """Told what a comparison does."""

    step: Callable[[str], None]
    """A new step, in words."""
    training: Callable[[dict[str, Any]], None]
    """As `training.run.train` tells."""


class _Job(NamedTuple):
    """Train a run, and test it where it stands for its method."""

    run: PlannedRun
    tested: bool

    def is_done(self, evaluation: EvaluationConfig) -> bool:
        if self.tested:
            return self.run.evaluation(evaluation) is not None
        return self.run.is_trained


def run_comparison(
    comparison: Comparison,
    methods: Sequence[str],
    seeds: Sequence[int],
    watcher: ComparisonWatcher,
    budget: Budget | None = None,
) -> None:
    """Train and evaluate what is missing of some methods and seeds, seed by seed.

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
    evaluation = comparison.config.evaluation
    done.update(aim for aim, job in jobs.items() if aim not in done and job.is_done(evaluation))
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
            if not job.is_done(self.comparison.config.evaluation):
                self._do(job)
            return True

    def _do(self, job: _Job) -> None:
        run = job.run
        try:
            if not run.is_trained:
                self.budget.check()
                self.watcher.step(f"training {run.label}")
                train(run.config, self._trained)
            if job.tested:
                tested_with = run.tested_with(self.comparison.config.evaluation)
                self.budget.check(self.comparison.test_seconds(tested_with.mask) or 0.0)
                self.watcher.step(f"ranking the test targets of {run.label}")
                evaluate(run.folder, "test", tested_with)
        except ValueError as error:
            raise ValueError(f"{run.label}: {error}") from None

    def _trained(self, step: dict[str, Any]) -> None:
        self.watcher.training(step)
        if step["saved"]:
            self.budget.check()
