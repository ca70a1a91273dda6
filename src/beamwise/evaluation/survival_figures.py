"""What a survival report knows of one model: counts by width, places by level, and the advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from beamwise.evaluation.survival_counts import SearchTime, SurvivalConfig, WidthCounts
from beamwise.evaluation.survival_levels import ToldLevel, told_one_by_one

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
AGREEMENT = 0.98
"""Share of users whose real and simulated results must be the same leaves. Rounding of fp32 may
swap leaves that score within a millionth; where more differ, something is wrong."""

BELOW_K = (
    "outcomes", "kept_leaves", "retention", "pruned_at", "outscored_at", "exact", "exact_share"
)  # fmt: skip
"""What is not told of a beam that is too narrow for K results."""


@dataclass(frozen=True)
class LevelFigures:
    """Where the targets' prefixes stand among all that compete at one level, by true scores."""

    level: int
    name: str
    """The level as a reader sees it: its number, a range of them, or "items"."""
    targets: int
    """Those that compete here and that a search can find."""
    places: int
    """Prefixes that have a place: the beam's width, at the last level K."""
    within: float
    """Share of the targets whose rank is among the places."""
    rank: dict[str, float]
    """`mean`, and the quantiles `q5`, `q25`, `q50`, `q75` and `q95`."""
    margin: dict[str, float] | None
    """Nats between the prefix and the last that has a place, below 0 where it has none; as above.
    None where fewer compete than there are places."""


class LevelCounts(NamedTuple):
    """What a beam keeps after a level that is told of, and loses there."""

    kept_targets: int
    kept_leaves: int
    pruned: int
    outscored: int


@dataclass(frozen=True)
class Advice:
    """The width that a report advises."""

    width: int | None
    """None where no measured width is within the tolerance."""
    complete: int | None
    """The least width that returns 99 % of the K best leaves; None where none does."""


@dataclass(frozen=True, eq=False)
class Survival:
    """What beams keep and lose of one model, on one set of windows."""

    config: SurvivalConfig
    per_user: pl.DataFrame
    """A row per window, ordered by `row`: `target` (item index), `reachable`, `returned`, `lost_at`
    (level, 0 where it was returned), and for every level that is told of `rank_1` ... (-1 where the
    target does not compete) and `margin_1` ... (nats, infinite where there is none)."""
    widths: tuple[WidthCounts, ...]
    """Ascending; that of the beam in question is among them."""
    exact: dict[str, float]
    """Recall and NDCG of the full sort."""
    times: dict[str, SearchTime]
    """Of real searches, by width as text; `exact` for the exact search; `full sort`, and the
    beam on the same users, where that was timed."""
    told: tuple[ToldLevel, ...] = ()
    """The levels that are told of; all where not given."""

    @property
    def told_levels(self) -> tuple[ToldLevel, ...]:
        """The levels that are told of, the last of them that of the results."""
        return self.told or told_one_by_one(self.num_levels)

    @property
    def level_name(self) -> str:
        """What levels are called: tokens where not all of them are told of."""
        return "level" if len(self.told_levels) == self.num_levels else "token"

    def by_level(self, counts: WidthCounts) -> list[LevelCounts]:
        """The counts of a beam, by the levels that are told of."""
        found: list[LevelCounts] = []
        first = 0
        for level in self.told_levels:
            found.append(
                LevelCounts(
                    counts.kept_targets[level.last - 1],
                    counts.kept_leaves[level.last - 1],
                    sum(counts.pruned_at[first : level.last]),
                    sum(counts.outscored_at[first : level.last]),
                )
            )
            first = level.last
        return found

    def prefix_recall(self, counts: WidthCounts) -> list[float]:
        """Share of the targets still in the search after each level that is told of."""
        return counts.shares([each.kept_targets for each in self.by_level(counts)])

    def retention(self, counts: WidthCounts) -> list[float]:
        """The same of all users' K best leaves."""
        best = counts.outcomes.best_leaves
        return [each.kept_leaves / best for each in self.by_level(counts)]

    @property
    def users(self) -> int:
        """Windows."""
        return len(self.per_user)

    @property
    def unreachable(self) -> int:
        """Targets that no search finds: retired or of probability zero; they are out-scored."""
        return self.users - int(self.per_user["reachable"].sum())

    @property
    def num_levels(self) -> int:
        """Tokens of the longest item."""
        return len(self.widths[0].kept_targets)

    @property
    def beam(self) -> WidthCounts:
        """The counts of the beam in question."""
        return self.of_width(self.config.beam_width)

    @property
    def wide_enough(self) -> tuple[WidthCounts, ...]:
        """The widths that return K results, ascending.

        A narrower beam returns fewer, so that what it lost of the K best, and whether its results
        are proved, would not say the same: reports leave that out.
        """
        return tuple(each for each in self.widths if self.is_wide_enough(each))

    def is_wide_enough(self, counts: WidthCounts) -> bool:
        """Whether a beam of this width returns K results."""
        return counts.width >= self.config.top_k

    def of_width(self, width: int) -> WidthCounts:
        """The counts of a beam that was measured."""
        return next(each for each in self.widths if each.width == width)

    def levels(self) -> list[LevelFigures]:
        """Ranks and margins, level by level; a level at which no target competes is left out."""
        figures = (self._level(level) for level in self.told_levels)
        return [each for each in figures if each is not None]

    def _level(self, told: ToldLevel) -> LevelFigures | None:
        level = told.number
        columns = self.per_user.filter(pl.col(f"rank_{level}") > 0)
        if len(columns) == 0:
            return None
        places = self.config.top_k if level == self.num_levels else self.config.beam_width
        ranks = columns[f"rank_{level}"].to_numpy()
        margins = columns[f"margin_{level}"].to_numpy().astype(np.float64)
        known = margins[np.isfinite(margins)]
        return LevelFigures(
            level=level,
            name=told.name,
            targets=len(columns),
            places=places,
            within=float((ranks <= places).mean()),
            rank=_distribution(ranks),
            margin=_distribution(known) if len(known) else None,
        )

    def advice(self) -> Advice:
        """The least width that loses no quality worth naming, and the least that loses no leaf."""
        k, tolerance = self.config.top_k, self.config.tolerance
        metrics = (f"recall@{k}", f"ndcg@{k}")
        wide = self.wide_enough

        def is_close(each: WidthCounts) -> bool:
            return all(
                (each.mean(name) or 0.0) >= self.exact[name] * (1 - tolerance) for name in metrics
            )

        return Advice(
            _least([is_close(each) for each in wide], wide),
            _least([each.retention >= 0.99 for each in wide], wide),
        )

    def disagreeing(self) -> list[str]:
        """Searches whose real results differ from the simulated ones more than rounding explains.

        A simulated beam is then no account of the real one, and a report must say so.
        """
        return [
            name
            for name, time in self.times.items()
            if time.users and time.agreeing < AGREEMENT * time.users
        ]

    def as_dict(self) -> dict[str, Any]:
        """Everything but the rows of users, as plain values; lists have an entry a `told_levels`.

        Of a width below K, what compares its results with the K best is None (`BELOW_K`).
        """
        return {
            "users": self.users,
            "unreachable": self.unreachable,
            "told_levels": [level._asdict() for level in self.told_levels],
            "levels": [asdict(level) for level in self.levels()],
            "widths": [self._width_as_dict(each) for each in self.widths],
            "exact": {"metrics": self.exact, "time": _time_as_dict(self.times.get("exact"))},
            "full_sort": {
                "time": _time_as_dict(self.times.get("full sort")),
                "beam_time": _time_as_dict(self.times.get("beam on full sort users")),
            },
            "advice": asdict(self.advice()),
            "disagreeing": self.disagreeing(),
        }

    def _width_as_dict(self, counts: WidthCounts) -> dict[str, Any]:
        content = self._counts_as_dict(counts)
        if self.is_wide_enough(counts):
            return content
        return content | dict.fromkeys(BELOW_K)

    def _counts_as_dict(self, counts: WidthCounts) -> dict[str, Any]:
        users, by_level = counts.outcomes.users, self.by_level(counts)
        outcomes = {"counts": asdict(counts.outcomes), "shares": counts.outcomes.shares()}
        return asdict(counts) | {
            "outcomes": outcomes,
            "kept_targets": [each.kept_targets for each in by_level],
            "kept_leaves": [each.kept_leaves for each in by_level],
            "pruned_at": [each.pruned for each in by_level],
            "outscored_at": [each.outscored for each in by_level],
            "metrics": {name: total / users for name, total in counts.metrics.items()},
            "prefix_recall": self.prefix_recall(counts),
            "retention": self.retention(counts),
            "exact_share": counts.exact / users,
            "time": _time_as_dict(self.times.get(str(counts.width))),
        }


def _least(holds: Sequence[bool], widths: Sequence[WidthCounts]) -> int | None:
    """The least width for which, and for all wider ones, it holds."""
    least = None
    for each, is_so in zip(reversed(widths), reversed(holds), strict=True):
        if not is_so:
            break
        least = each.width
    return least


def _distribution(values: np.ndarray) -> dict[str, float]:
    quantiles = np.quantile(values, QUANTILES)
    named = {f"q{round(100 * q)}": float(v) for q, v in zip(QUANTILES, quantiles, strict=True)}
    return {"mean": float(values.mean())} | named


def _time_as_dict(time: SearchTime | None) -> dict[str, Any] | None:
    if time is None or time.users == 0:
        return None
    return asdict(time) | {"milliseconds_per_user": time.milliseconds}
