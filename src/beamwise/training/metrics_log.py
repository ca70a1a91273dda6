"""`metrics.jsonl`: one JSON object a line, what a run measured while it trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from beamwise.objectives.base import Mean, Metrics


class MetricsLog:
    """Appends lines; after a resume it forgets those that will be written again."""

    def __init__(self, path: Path, enabled: bool = True) -> None:
        self.path = path
        self.enabled = enabled
        self.num_lines = 0
        if enabled:
            path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, kind: str, values: dict[str, Any]) -> None:
        """Append one line; `kind` is `step` or `epoch`."""
        self.num_lines += 1
        if self.enabled:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": kind, **values}) + "\n")

    def rewind(self, num_lines: int) -> None:
        """Keep the first `num_lines` lines: what a checkpoint knew of."""
        self.num_lines = num_lines
        if self.enabled and self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            self.path.write_text("".join(lines[:num_lines]), encoding="utf-8")


class Means:
    """Means over several batches, without waiting for the device."""

    def __init__(self) -> None:
        self._means: dict[str, Mean] = {}

    def add(self, values: Metrics, num_targets: int) -> None:
        """Take what an objective logs of one batch; see `Metrics`."""
        for name, value in values.items():
            if isinstance(value, Tensor):
                count = torch.tensor(num_targets)
                value = Mean(value * num_targets, count)
            if name in self._means:
                before = self._means[name]
                value = Mean(before.total + value.total, before.count + value.count)
            self._means[name] = value

    def values(self) -> dict[str, Tensor]:
        """The means over all batches taken."""
        return {name: mean.value for name, mean in self._means.items()}


def read_metrics(path: Path, kind: str, *, is_growing: bool = False) -> list[dict[str, Any]]:
    """The lines of one kind, in order.

    Args:
        path: Of the log.
        kind: `step` or `epoch`.
        is_growing: Whether a process may be writing it: then a last line without its end is left
            out.
    """
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1] if is_growing else text
    lines = [json.loads(line) for line in whole.splitlines()]
    return [line for line in lines if line["kind"] == kind]
