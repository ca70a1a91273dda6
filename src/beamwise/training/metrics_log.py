"""`metrics.jsonl`: one JSON object a line, what a run measured while it trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor


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
    """Means over the targets of several batches, without waiting for the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, values: dict[str, Tensor], count: int) -> None:
        """Take the means of one batch of `count` targets."""
        self._count += count
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * count

    def values(self) -> dict[str, Tensor]:
        """The means over all batches taken."""
        return {name: total / self._count for name, total in self._sums.items()}


def read_metrics(path: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of one kind, in order."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == kind]
