"""Keep the best weights, stop when they stop getting better."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from beamwise.training.config import EarlyStoppingConfig


@dataclass
class EarlyStopping:
    """What validation said so far; plain numbers, so that a checkpoint can hold it."""

    config: EarlyStoppingConfig
    best: float | None = None
    best_epoch: int | None = None
    worse: int = 0
    """Validations since the best."""

    def observe(self, value: float, epoch: int) -> bool:
        """Take a validation's result; whether it is the best so far."""
        sign = -1.0 if self.config.metric == "loss" else 1.0
        improved = self.best is None or sign * value > sign * self.best
        if improved:
            self.best, self.best_epoch, self.worse = value, epoch, 0
        else:
            self.worse += 1
        return improved

    @property
    def should_stop(self) -> bool:
        """Whether patience is used up."""
        return self.worse >= self.config.patience

    def state(self) -> dict[str, float | int | None]:
        """What a checkpoint keeps."""
        state = asdict(self)
        del state["config"]
        return state
