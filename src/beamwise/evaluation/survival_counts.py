"""Settings of the survival report, and counts of what beams of several widths keep and lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from beamwise.catalog import Catalog
from beamwise.config import Config
from beamwise.decoding.runs import num_prefixes_scored as num_prefixes_scored
from beamwise.evaluation.survival import SurvivalCounts

MOST_NODES = 250_000
"""Prefixes of the largest catalog that is reported on: every one is scored for every user, which
for a small model takes one core about three seconds a user at this size."""
NUMBERS_AT_ONCE = 2**23
"""Scores held at a time, 32 MiB of fp32, and as many more for each step of the simulation."""


class SurvivalConfig(Config):
    """Which searches to look into, and what to count."""

    ks: tuple[PositiveInt, ...] = (5, 10, 20)
    """Cutoffs of recall and NDCG, ascending, none above `beam_width`. The last is K, the results of
    every search."""
    beam_width: PositiveInt = 20
    """Width of the beam that the report is about."""
    mask: Literal["after", "before"] = "after"
    """Mask illegal tokens after or before the softmax."""
    batch_size: PositiveInt = 256
    """Users at once; fewer where the catalog is large."""
    widths: tuple[PositiveInt, ...] = (5, 10, 20, 50, 100)
    """Beams to compare it with; one wider than the catalog has leaves could prune nothing and is
    left out."""
    tolerance: PositiveFloat = 0.01
    """The advised width is the least whose recall@K and NDCG@K, and those of all wider beams, are
    at most this share below those of the exact ranking."""
    max_users: PositiveInt | None = None
    """Look at so many users, evenly spread over all; at all where not given."""
    timed_users: PositiveInt = 128
    """Users that real searches are run for, to time them and to check the simulated beams."""
    full_sort_users: NonNegativeInt = 0
    """Users of these that a full sort is timed with as well, which takes many times as long."""

    @model_validator(mode="after")
    def _ascending(self) -> SurvivalConfig:
        if not self.ks or list(self.ks) != sorted(set(self.ks)) or self.ks[-1] > self.beam_width:
            raise ValueError(
                f"ks must be ascending and within 1..beam_width={self.beam_width}, "
                f"got {list(self.ks)}: drop cutoffs or raise beam_width"
            )
        if list(self.widths) != sorted(set(self.widths)):
            raise ValueError(f"widths must be ascending, got {list(self.widths)}: sort them")
        return self

    @property
    def top_k(self) -> int:
        """K, the results of every search."""
        return self.ks[-1]

    def users_at_once(self, catalog: Catalog) -> int:
        """Users of a batch: `batch_size`, fewer where the catalog is large."""
        return max(1, min(self.batch_size, NUMBERS_AT_ONCE // catalog.num_nodes))

    def widths_for(self, catalog: Catalog) -> tuple[int, ...]:
        """The widths to measure, ascending, `beam_width` among them.

        Raises:
            ValueError: If the beam is wider than the catalog, or this is too large to report on.
        """
        if self.beam_width > catalog.num_leaves:
            raise ValueError(
                f"beam_width must be in 1..{catalog.num_leaves}, the distinct items of the "
                f"catalog, got {self.beam_width}: narrow the beam"
            )
        if catalog.num_nodes > MOST_NODES:
            raise ValueError(
                f"the catalog has {catalog.num_nodes:,} prefixes, a survival report scores all of "
                f"them for every user and takes at most {MOST_NODES:,}: use `beamwise evaluate "
                "--full-sort`, which counts what the beam lost without that"
            )
        fitting = {width for width in self.widths if width <= catalog.num_leaves}
        return tuple(sorted(fitting | {self.beam_width}))


@dataclass(frozen=True)
class WidthCounts:
    """What a beam of one width keeps and loses; counts add up over groups of users.

    Lists have an entry a level, as `ScoredTree` numbers them; after the last level is among the
    results. A beam narrower than K returns as many results as it is wide: its outcomes and proofs
    are about those, so that reports do not set them beside the others.
    """

    width: int
    outcomes: SurvivalCounts
    """Of the K best."""
    kept_targets: tuple[int, ...]
    """Targets whose prefix is still in the search after each level."""
    kept_leaves: tuple[int, ...]
    """Of all users' K best leaves, those whose prefix is still in the search after each level."""
    pruned_at: tuple[int, ...]
    """The pruned targets by the level at which the beam lost them."""
    outscored_at: tuple[int, ...]
    """The out-scored likewise, but for those that no search could find."""
    within: int
    """Targets among as many best leaves of the full sort as the beam is wide."""
    within_pruned: int
    """Those of them that fell out of the beam."""
    within_pruned_by_token: int
    """Those of these whose token, at that level, is not among as many most probable tokens after
    its own true prefix as the beam is wide."""
    exact: int
    """Users whose results are proved to be the full sort's."""
    prefixes: int
    """Prefixes that the model computes, over all users; the empty one is one."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Sums over users of recall and NDCG, at cutoffs up to the width."""

    def __add__(self, other: WidthCounts) -> WidthCounts:
        """Counts of both groups of users together.

        Raises:
            ValueError: If the widths differ.
        """
        if self.width != other.width:
            raise ValueError(f"widths {self.width} and {other.width} do not add up: give one width")
        sums = {
            each.name: added(getattr(self, each.name), getattr(other, each.name))
            for each in fields(self)
        }
        return replace(self, **(sums | {"width": self.width}))

    def mean(self, metric: str) -> float | None:
        """A metric over all users; None above the cutoffs that the width can fill."""
        total = self.metrics.get(metric)
        return None if total is None else total / self.outcomes.users

    def shares(self, counts: Sequence[int]) -> list[float]:
        """Counts of targets as shares of all."""
        return [count / self.outcomes.users for count in counts]

    @property
    def retention(self) -> float:
        """Share of the K best leaves that are returned."""
        return self.kept_leaves[-1] / self.outcomes.best_leaves


@dataclass(frozen=True)
class SearchTime:
    """How long real searches took, and whether they returned what was simulated."""

    seconds: float = 0.0
    """Wall time."""
    users: int = 0
    agreeing: int = 0
    """Users with the same leaves as in the simulation."""

    def __add__(self, other: SearchTime) -> SearchTime:
        """Times of both groups of users together."""
        return SearchTime(
            self.seconds + other.seconds, self.users + other.users, self.agreeing + other.agreeing
        )

    @property
    def milliseconds(self) -> float:
        """For one user."""
        return 1000 * self.seconds / self.users


def added(mine: Any, theirs: Any) -> Any:
    """Sums of numbers, place by place in tuples and name by name in dicts."""
    if isinstance(mine, tuple):
        return tuple(a + b for a, b in zip(mine, theirs, strict=True))
    if isinstance(mine, dict):
        return {name: value + theirs[name] for name, value in mine.items()}
    return mine + theirs
