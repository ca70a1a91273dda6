"""Parts that sections on survival reports share: curves over levels or widths, a method each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.method_notes import how_set
from beamwise.experiments.paper.seeds import OVER_SEEDS, over_seeds, seed_ratio
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.table1 import methods
from beamwise.experiments.saved_survival import SavedSurvival, SavedTime, SavedWidth
from beamwise.report.section import Estimate, Series

SHOWN = ("ce", "msl", "ce-s-dpo", "apao-pointwise", "apao-pairwise")
"""Methods of Table 1 whose beams are followed."""
TimeOf = Callable[[SavedSurvival], SavedTime | None]
"""The time of one of the searches of a report, where it was taken."""


def followed(setting: Setting, name: str) -> ComparisonConfig:
    """Some methods of Table 1, with survival reports of their runs."""
    shown = [method for method in methods(setting) if method.name in SHOWN]
    return setting.comparison(name, *shown, survival_of=SHOWN)


def any_report(evidence: Evidence) -> SavedSurvival:
    """One of them, for what all share.

    Raises:
        ValueError: If there is none.
    """
    return next(iter(next(iter(evidence.diagnosed.values())).values()))


def how_followed(evidence: Evidence) -> tuple[str, ...]:
    """What was measured."""
    report = any_report(evidence)
    return (
        f"{report.users:,} test users of each run, a beam of {report.settings.beam_width}; the "
        "true best are those of a ranking of the whole catalog. " + OVER_SEEDS,
        *how_set(evidence),
    )


def by_level(
    method: str, reports: Collection[SavedSurvival], value: Callable[[SavedWidth], Sequence[float]]
) -> Series:
    """A value of the beam after every level."""
    names = level_names(reports)
    return Series(
        name=method,
        x=names,
        y=tuple(
            over_seeds([value(report.beam)[place] for report in reports])
            for place in range(len(names))
        ),
    )


def level_names(reports: Iterable[SavedSurvival]) -> tuple[str, ...]:
    """Of the levels that are told of."""
    return tuple(level.name for level in next(iter(reports)).told_levels)


def widths_of(reports: Iterable[SavedSurvival]) -> tuple[int, ...]:
    """Widths that every report has, ascending."""
    shared = set.intersection(*({each.width for each in report.widths} for report in reports))
    return tuple(sorted(shared))


def milliseconds(reports: Iterable[SavedSurvival], of: TimeOf) -> Estimate | None:
    """A user's time under one of the searches; None where it was not timed."""
    times = [time.milliseconds_per_user for time in map(of, reports) if time is not None]
    return over_seeds(times) if times else None


def times_ratio(
    reports: Mapping[int, SavedSurvival], search: TimeOf, beside: TimeOf
) -> Estimate | None:
    """One search's time by another's, run by run; None where no run has both."""
    return seed_ratio(_times(reports, search), _times(reports, beside))


def _times(reports: Mapping[int, SavedSurvival], of: TimeOf) -> dict[int, float]:
    found = {seed: of(report) for seed, report in reports.items()}
    return {seed: each.milliseconds_per_user for seed, each in found.items() if each is not None}


def beam_time(width: int) -> TimeOf:
    """The time of a beam of some width."""
    return lambda report: report.of_width(width).time


def own_beam_time(report: SavedSurvival) -> SavedTime | None:
    """The time of the beam that a report is about."""
    return report.beam.time


def exact_time(report: SavedSurvival) -> SavedTime | None:
    """The time of exact search."""
    return report.exact.time


def sort_time(report: SavedSurvival) -> SavedTime | None:
    """The time of a full sort, which fewer users are timed with."""
    return report.full_sort.time


def sorted_beam_time(report: SavedSurvival) -> SavedTime | None:
    """The time of the beam on the users of the full sort."""
    return report.full_sort.beam_time
