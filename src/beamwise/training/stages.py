"""The stages of a run: what each minimises, and where it keeps its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from beamwise.objectives import OBJECTIVES
from beamwise.objectives.base import Objective
from beamwise.scoring import Scorer
from beamwise.training.checkpoint import CHECKPOINT_FOLDER
from beamwise.training.config import RunConfig


@dataclass(frozen=True, eq=False)
class Stage:
    """What a trainer is told of the stage that it trains."""

    objective: Objective
    checkpoints: Path
    number: int = 0
    num_stages: int = 1
    reference: Scorer | None = None
    log_lines: int = 0
    """Lines of metrics that earlier stages wrote."""

    @property
    def label(self) -> dict[str, int]:
        """What tells its lines of metrics from those of the other stages."""
        return {} if self.num_stages == 1 else {"stage": self.number}


def stages_of(config: RunConfig) -> list[Stage]:
    """The stages of a run, without references.

    The last one's checkpoints are the run's; those of earlier ones lie in folders beside them.
    """
    configs = config.of_stages()
    last = len(configs) - 1
    return [
        Stage(
            OBJECTIVES[each.objective.name](each.objective),
            config.out / CHECKPOINT_FOLDER / ("" if number == last else f"stage-{number}"),
            number,
            len(configs),
        )
        for number, each in enumerate(configs)
    ]
