"""Progress of training and evaluation, on standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

AnyBar = TypeVar("AnyBar", bound="Bar")


class Bar:
    """A bar that appears with its first task, so that a refusal before it stands alone."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[status]}"),
            console=Console(stderr=True),
        )

    def __enter__(self: AnyBar) -> AnyBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):  # the bar goes, so that what is said of it stands alone
            self._progress.live.transient = True
            self._progress.live.stop()
        elif self._progress.tasks:
            self._progress.stop()

    def begin(self, description: str, total: int) -> TaskID:
        """Show a new task."""
        task = self._progress.add_task(description, total=total, status="")
        self._progress.start()
        return task

    def show(self, task: TaskID, completed: int, status: str, description: str) -> None:
        """Change what a task shows."""
        self._progress.update(task, completed=completed, status=status, description=description)


class TrainingProgress(Bar):
    """Loss, examples per second and time left; call it after every optimiser step.

    The time left is that of all epochs; early stopping may need fewer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, Any] | None = None
        """What the last step said; None before the first."""
        self._task = TaskID(0)
        self._loss = ""
        self._targets = 0
        self._begin = 0.0

    def __call__(self, step: dict[str, Any]) -> None:
        """Show a step as `training.run.train` describes it."""
        if self.last is None or step["step"] <= self.last["step"]:  # a run begins or goes on
            self._task = self.begin("", step["steps"] * step["epochs"])
            self._targets, self._begin = -step["targets"], time.perf_counter()
        self.last = step
        if "loss" in step:  # told now and then, since it waits for the device
            self._loss = f"loss {step['loss']:.4f}, "
        self._targets += step["targets"]
        elapsed = time.perf_counter() - self._begin
        stage = f"stage {step['stage'] + 1}, " if "stage" in step else ""
        speed = f"{self._targets / elapsed:,.0f} examples/s" if self._targets else ""
        self.show(
            self._task,
            step["step"],
            self._loss + speed,
            f"{stage}epoch {step['epoch'] + 1}/{step['epochs']}",
        )


class UserProgress(Bar):
    """Users done; call it with how many are done, and of how many."""

    def __init__(self, description: str) -> None:
        super().__init__()
        self._description = description
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show so many users."""
        if self._task is None:
            self._task = self.begin(self._description, total)
        self.show(self._task, done, "users", self._description)


class WorkProgress(Bar):
    """Several kinds of work, one after the other, each with a bar of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, work: str, done: int, total: int) -> None:
        """Show how much of a kind of work is done, and of how much."""
        if work not in self._tasks:
            self._tasks[work] = self.begin(work, total)
        self.show(self._tasks[work], done, "", work)
