"""The figures of a comparison of training methods, as its report and `report.json` have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from beamwise.evaluation.pruned_targets import PrunedTargets
from beamwise.evaluation.significance import Interval, PairedTest
from beamwise.evaluation.survival import SurvivalCounts
from beamwise.report.leaf_names import SEMANTIC_ID

SIGNIFICANT = 0.05
Level = Literal["reproduced", "not reproduced", "undecided"]
"""What the height of our figures says of a paper's."""
Direction = Literal["holds", "opposite", "not established"]
"""What our difference to the baseline says of a paper's."""


@dataclass(frozen=True)
class MetricFigures:
    """One metric of one method."""

    interval: Interval
    test: PairedTest | None
    """Against the baseline; None for the baseline itself."""
    holm_p: float | None
    """The test's p after Holm's correction over all methods, for this metric."""

    @property
    def is_established(self) -> bool:
        """Whether the difference to the baseline is, at 5 %."""
        return self.holm_p is not None and self.holm_p < SIGNIFICANT


@dataclass(frozen=True)
class RunFigures:
    """The training of one run, from its log."""

    seed: int
    epochs: int
    best_validation: float | None
    train_seconds: float | None
    """In optimiser steps, of all epochs; None where the log does not say."""


@dataclass(frozen=True)
class TriedPoint:
    """A point of a grid."""

    settings: dict[str, Any]
    validation: float
    """Best validation metric, mean over the seeds that it was tried with."""
    runs: tuple[RunFigures, ...]


@dataclass(frozen=True)
class MethodFigures:
    """A method's figures over the runs that were there."""

    name: str
    seeds: tuple[int, ...]
    start_from: str | None
    objective: str
    metrics: dict[str, MetricFigures]
    """By name: `recall@20`, `recall@20_full_sort`, ..., `survival@20`."""
    by_item: dict[str, float]
    """Means of the metrics by item, over users and seeds."""
    survival: SurvivalCounts
    """Added up over seeds."""
    pruned: PrunedTargets | None
    """Likewise; None where an evaluation does not tell."""
    runs: tuple[RunFigures, ...]
    tried: tuple[TriedPoint, ...]
    """Points of its grid; empty without one."""
    chosen: dict[str, Any]
    """The point that its runs were trained with."""


@dataclass(frozen=True)
class Reproduction:
    """A method whose figures a paper printed, and what ours say of them."""

    method: str
    published: dict[str, float]
    """By metric."""
    level: Level | None
    """Of the figures themselves; None where ours are not of the paper's models."""
    directions: dict[str, Direction]
    """Of the differences to the baseline, by metric, where the paper prints one."""

    @property
    def direction(self) -> Direction | None:
        """Of all metrics: opposite where one is, else what holds must hold of all.

        None where the paper prints no difference.
        """
        said = set(self.directions.values())
        if not said:
            return None
        if "opposite" in said:
            return "opposite"
        return "holds" if said == {"holds"} else "not established"

    @property
    def direction_text(self) -> str | None:
        """In words: one where all metrics agree, else which metrics say what."""
        said = list(dict.fromkeys(self.directions.values()))
        if len(said) < 2:
            return self.direction
        return "; ".join(f"{each}: {', '.join(self._metrics_of(each))}" for each in said)

    def _metrics_of(self, direction: Direction) -> list[str]:
        return [name for name, each in self.directions.items() if each == direction]


@dataclass(frozen=True)
class Maker:
    """A code and a machine, and how many of the runs they trained, or a part of them."""

    runs: int
    code: str | None
    """Commit, or version and hash of the source; None for runs that do not say."""
    machine: str
    """Processor or accelerator; "" for runs that do not say."""


@dataclass(frozen=True)
class ComparisonFigures:
    """Everything that a report says, as `report.json` has it."""

    title: str
    baseline: str
    ks: tuple[int, ...]
    beam_width: int | tuple[int, ...]
    users: int
    selection: str
    """The validation metric that chose epochs and points of grids."""
    resamples: int
    methods: tuple[MethodFigures, ...]
    missing: dict[str, str]
    """What was not there yet, by method."""
    printed: tuple[Reproduction, ...] = ()
    """What a paper printed of the same methods, beside which ours stand."""
    made_by: tuple[Maker, ...] = ()
    """All code and machines that trained the tested runs, the one with most runs first."""
    leaves: str = SEMANTIC_ID
    """What metrics count by: the leaves of the runs' catalogs, as `leaf_names` calls them."""


def verdict(method: MethodFigures, k: int) -> str:
    """Which of model and survival differs from the baseline's, where that is established."""
    parts = {"model": f"recall@{k}_full_sort", "survival": f"survival@{k}"}
    said = []
    for name, key in parts.items():
        figures = method.metrics[key]
        if figures.test is not None and figures.is_established:
            said.append(f"{name} {'better' if figures.test.difference > 0 else 'worse'}")
    return ", ".join(said) or "neither is established"


def training_seconds(runs: Sequence[RunFigures]) -> float | None:
    """Of runs together; None where a log does not say."""
    total = 0.0
    for run in runs:
        if run.train_seconds is None:
            return None
        total += run.train_seconds
    return total
