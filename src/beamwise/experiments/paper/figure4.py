"""Figure 4: NDCG@5 and time against the width of the beam."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.paper.best_baseline import OURS
from beamwise.experiments.paper.checks import check_reports
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.seeds import SeedDifference, over_seeds, seed_difference
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.survival_parts import (
    beam_time,
    exact_time,
    followed,
    how_followed,
    milliseconds,
    widths_of,
)
from beamwise.experiments.saved_survival import SavedSurvival
from beamwise.report.section import Axis, Chart, Column, Section, Series, Table, Value

K, METRIC = 5, "ndcg@5"
NARROW, WIDE = 20, 100
"""Widths of the paper's claim, of APAO and of the others."""


def comparison(setting: Setting) -> ComparisonConfig:
    """Methods of Table 1 with survival reports."""
    return followed(setting, "Figure 4")


def check(config: ComparisonConfig, methods: Sequence[str]) -> None:
    """Refuse settings under which NDCG@5 is not measured at every width.

    Raises:
        ValueError: If it is not a cutoff, a width returns fewer than 5, or no method gets a report.
    """
    check_reports(config, methods)
    _check_cutoff(config)
    if narrow := [width for width in config.survival.widths if width < K]:
        raise ValueError(
            f"Figure 4 is of {METRIC}, and a beam of {narrow[0]} returns fewer than {K}: leave it "
            "out of survival.widths"
        )


def _check_cutoff(config: ComparisonConfig) -> None:
    ks = config.survival.ks
    if K not in ks:
        raise ValueError(
            f"Figure 4 is of {METRIC}, and survival.ks is {list(ks)}: add that cutoff, as --set "
            "survival.ks=[5,10,20]"
        )


def section(evidence: Evidence) -> Section:
    """Quality and time by width, and those of exact search.

    Raises:
        ValueError: If NDCG@5 was not measured, or nothing was.
    """
    _check_cutoff(evidence.comparison.config)
    return Section(
        name="figure4",
        title="Figure 4: beam width",
        setting=evidence.setting.title,
        method=how_followed(evidence),
        findings=tuple(_findings(evidence)),
        tables=(_table(evidence),),
        charts=tuple(_charts(evidence)),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )


def _charts(evidence: Evidence) -> Iterator[Chart]:
    axis = Axis(label="beam width", log=True)
    yield Chart(
        name="ndcg",
        title="NDCG@5 against beam width",
        kind="lines",
        x=axis,
        y=Axis(label="NDCG@5, by semantic ID"),
        series=tuple(_quality(evidence)),
    )
    if time := tuple(_time(evidence)):
        yield Chart(
            name="time",
            title="Time against beam width",
            kind="lines",
            x=axis,
            y=Axis(label="milliseconds a user", from_zero=True),
            series=time,
        )


def _at(reports: Mapping[int, SavedSurvival], width: int) -> dict[int, float]:
    """The metric with a beam of some width, by seed; of the reports that have it."""
    return {
        seed: report.of_width(width).metrics[METRIC]
        for seed, report in reports.items()
        if width in widths_of([report])
    }


def _quality(evidence: Evidence) -> Iterator[Series]:
    for name, reports in evidence.diagnosed.items():
        widths = widths_of(reports.values())
        values = [over_seeds(list(_at(reports, width).values())) for width in widths]
        yield Series(name=name, x=tuple(map(float, widths)), y=tuple(values))


def _time(evidence: Evidence) -> Iterator[Series]:
    for name, reports in evidence.diagnosed.items():
        every = reports.values()
        times = {width: milliseconds(every, beam_time(width)) for width in widths_of(every)}
        known = {float(width): time for width, time in times.items() if time is not None}
        if known:
            yield Series(name=name, x=tuple(known), y=tuple(known.values()))


def _table(evidence: Evidence) -> Table:
    rows: list[tuple[Value, ...]] = []
    for name, reports in evidence.diagnosed.items():
        every = reports.values()
        for width in widths_of(every):
            found = over_seeds(list(_at(reports, width).values()))
            rows.append((name, str(width), found, milliseconds(every, beam_time(width))))
        exact = over_seeds([report.exact.metrics[METRIC] for report in every])
        rows.append((name, "exact", exact, milliseconds(every, exact_time)))
    return Table(
        name="widths",
        title="By beam width",
        columns=(
            Column(name="method"),
            Column(name="beam width"),
            Column(name="NDCG@5", unit="metric"),
            Column(name="ms a user", unit="number"),
        ),
        rows=tuple(rows),
    )


def _findings(evidence: Evidence) -> Iterator[str]:
    """The paper's claim: APAO with a beam of 20 equals or exceeds the baselines with one of 100."""
    for name, reports in evidence.diagnosed.items():
        if not name.startswith(OURS):
            continue
        for other, theirs in evidence.diagnosed.items():
            if OURS in other:
                continue
            found = seed_difference(_at(reports, NARROW), _at(theirs, WIDE))
            if found is not None:
                yield (
                    f"{name} with a beam of {NARROW} beside {other} with one of {WIDE}: NDCG@5 "
                    f"{found.estimate.mean:+.4f}{_said(found)}."
                )


def _said(found: SeedDifference) -> str:
    """What the seeds say of a difference."""
    low, high = found.estimate.low, found.estimate.high
    if low is None or high is None:
        return " with one seed, no difference is established"
    interval = f" [{low:+.4f}, {high:+.4f}] over seeds"
    if low >= 0:
        return f"{interval}, at least as good"
    return f"{interval}, below it" if high < 0 else f"{interval}, no difference is established"
