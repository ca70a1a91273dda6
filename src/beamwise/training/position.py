"""Where a run is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Position:
    """Plain numbers, so that a checkpoint can hold it."""

    epoch: int = 0
    step: int = 0
    """Next step of the epoch."""
    steps: int = 0
    """Steps made in all epochs; decides negatives and dropout of the next."""
    loss_sum: float = 0.0
    """Over the epoch's targets so far."""
    targets: int = 0
    seconds: float = 0.0
    """Spent in the epoch's steps so far, by this process."""
    finished: bool = False
    """Whether the last epoch is over or training stopped early."""
    stopping: dict[str, Any] = field(default_factory=dict)
    """State of early stopping."""
