"""Figure 1: what beam search costs beside ranking everything, and what it loses on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.paper.checks import check_reports
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.seeds import OVER_SEEDS
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.survival_parts import (
    TimeOf,
    any_report,
    by_level,
    exact_time,
    followed,
    how_followed,
    milliseconds,
    own_beam_time,
    sort_time,
    sorted_beam_time,
    times_ratio,
)
from beamwise.report.section import Axis, Chart, Column, Section, Series, Table, Value

SEARCHES: dict[str, TimeOf] = {
    "beam search": own_beam_time,
    "exact search": exact_time,
    "full sort": sort_time,
}
"""What is timed, by its name in the table and the chart."""


def comparison(setting: Setting) -> ComparisonConfig:
    """Methods of Table 1 with survival reports."""
    return followed(setting, "Figure 1")


def check(config: ComparisonConfig, methods: Sequence[str]) -> None:
    """Refuse settings under which no method gets a survival report.

    Raises:
        ValueError: If none does.
    """
    check_reports(config, methods)


def section(evidence: Evidence) -> Section:
    """Times of three searches, and the share of the true best still there after every level."""
    return Section(
        name="figure1",
        title="Figure 1: beam search, its price and its losses",
        setting=evidence.setting.title,
        method=(
            *how_followed(evidence),
            "Times are of one search over a sample of users on the machine of the report, the "
            "quicker of two; ratios are of searches over the same users, run by run. Exact search "
            "is beam search continued until its result is proved. A full sort scores every prefix "
            "of the catalog once a user, which costs far less than a pass an item, the paper's "
            "full sorting; it is timed with fewer users, and beside a beam over these.",
        ),
        findings=tuple(_findings(evidence)),
        tables=(_time_table(evidence),),
        charts=(*_times(evidence), _retention(evidence)),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )


def _time_table(evidence: Evidence) -> Table:
    rows: list[tuple[Value, ...]] = []
    for name, reports in evidence.diagnosed.items():
        times = [milliseconds(reports.values(), search) for search in SEARCHES.values()]
        exact = times_ratio(reports, exact_time, own_beam_time)
        sort = times_ratio(reports, sort_time, sorted_beam_time)
        rows.append((name, *times, exact, sort))
    return Table(
        name="time",
        title="Milliseconds a user",
        columns=(
            Column(name="method"),
            *(Column(name=name, unit="number", group="ms a user") for name in SEARCHES),
            Column(name="exact search", unit="number", group="times beam search"),
            Column(name="full sort", unit="number", group="times beam search"),
        ),
        rows=tuple(rows),
        note=("No ratio of the full sort where a report did not time the beam on the same users."),
    )


def _times(evidence: Evidence) -> Iterator[Chart]:
    """What the table says of milliseconds; nothing where no search was timed."""
    series: list[Series] = []
    for name, search in SEARCHES.items():
        times = {
            method: time
            for method, reports in evidence.diagnosed.items()
            if (time := milliseconds(reports.values(), search)) is not None
        }
        if times:
            series.append(Series(name=name, x=tuple(times), y=tuple(times.values())))
    if series:
        yield Chart(
            name="times",
            title="Time of three searches",
            kind="dots",
            x=Axis(label="method"),
            y=Axis(label="milliseconds a user", log=True),
            series=tuple(series),
            note=(
                "The full sort is of fewer users. An interval without a left end reaches 0, which "
                f"has no place on the axis. {OVER_SEEDS}"
            ),
        )


def _retention(evidence: Evidence) -> Chart:
    k = any_report(evidence).settings.top_k
    return Chart(
        name="retention",
        title=f"True best {k} still in the beam",
        kind="lines",
        x=Axis(label="after level"),
        y=Axis(label=f"share of the true best {k}", percent=True, from_zero=True),
        series=tuple(
            by_level(name, reports.values(), lambda beam: beam.retention or ())
            for name, reports in evidence.diagnosed.items()
        ),
        note="After the last level: among the results.",
    )


def _findings(evidence: Evidence) -> Iterator[str]:
    settings = any_report(evidence).settings
    for name, reports in evidence.diagnosed.items():
        kept = by_level(name, reports.values(), lambda beam: beam.retention or ()).y[-1].mean
        yield (
            f"{name}: a beam of {settings.beam_width} returns {kept:.1%} of its true best "
            f"{settings.top_k}."
        )
