"""A survival report read back from its file: what experiments compare of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from beamwise.evaluation.survival_counts import SurvivalConfig

SURVIVAL_FILE = "survival.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SavedTime(_Part):
    """Of real searches of one kind."""

    milliseconds_per_user: float


class SavedWidth(_Part):
    """What a beam of one width kept and lost."""

    width: int
    metrics: dict[str, float]
    """Recall and NDCG, at cutoffs that the width can fill."""
    prefix_recall: tuple[float, ...]
    """Share of the targets whose prefix is in the beam after each level; last, in the results."""
    retention: tuple[float, ...] | None
    """Share of the K best leaves that are still there after each level; None below K results."""
    within: int
    """Targets among as many best leaves as the beam is wide."""
    within_pruned: int
    within_pruned_by_token: int
    """As `evaluation.survival_counts.WidthCounts` has them."""
    time: SavedTime | None


class SavedExact(_Part):
    """The exact ranking."""

    metrics: dict[str, float]
    time: SavedTime | None


class SavedSort(_Part):
    """The full sort, where it was timed."""

    time: SavedTime | None
    beam_time: SavedTime | None = None
    """Of the beam on the same users."""


class SavedLevel(_Part):
    """A level as a reader sees it."""

    name: str


class SavedSurvival(_Part):
    """The figures of a survival report."""

    settings: SurvivalConfig
    users: int
    told_levels: tuple[SavedLevel, ...]
    widths: tuple[SavedWidth, ...]
    exact: SavedExact
    full_sort: SavedSort = SavedSort(time=None)
    seconds: float | None = None
    """That the report took."""
    weights: str | None = None
    """Hash of the weights that were followed; None where that was not kept."""
    made_by: dict[str, Any] | None = None
    """Code and machine that searched; None where that was not kept."""

    @property
    def beam(self) -> SavedWidth:
        """The beam that the report is about."""
        return self.of_width(self.settings.beam_width)

    def of_width(self, width: int) -> SavedWidth:
        """A beam that was measured."""
        return next(each for each in self.widths if each.width == width)

    @classmethod
    def load(cls, folder: Path) -> SavedSurvival | None:
        """Read the report of a run folder; None where there is none.

        Raises:
            ValueError: If it is damaged.
        """
        path = folder / SURVIVAL_FILE
        if not path.is_file():
            return None
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError):
            raise ValueError(
                f"{path} is damaged: remove it, and it will be measured again"
            ) from None
