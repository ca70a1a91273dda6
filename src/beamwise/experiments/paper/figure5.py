"""Figure 5: recall of prefixes after every level, and what APAO adds to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.paper.best_baseline import (
    OURS,
    best_baseline,
    candidates,
    seeds_of_own,
)
from beamwise.experiments.paper.checks import check_reports
from beamwise.experiments.paper.evidence import Evidence, listed
from beamwise.experiments.paper.seeds import over_seeds, pairs
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.survival_parts import (
    any_report,
    by_level,
    followed,
    how_followed,
    level_names,
)
from beamwise.experiments.saved_survival import SavedSurvival
from beamwise.report.objective_comparison import MethodFigures
from beamwise.report.section import Axis, Chart, Column, Section, Series, Table, Value


class _Best(NamedTuple):
    """What APAO is set beside."""

    name: str
    among: tuple[str, ...]
    seeds: tuple[int, ...]


def comparison(setting: Setting) -> ComparisonConfig:
    """Methods of Table 1 with survival reports."""
    return followed(setting, "Figure 5")


def check(config: ComparisonConfig, methods: Sequence[str]) -> None:
    """Refuse settings under which no method gets a survival report.

    Raises:
        ValueError: If none does.
    """
    check_reports(config, methods)


def section(evidence: Evidence) -> Section:
    """Share of targets whose prefix is in the beam, and APAO's relative to the best baseline's."""
    recalls = tuple(
        by_level(name, reports.values(), lambda beam: beam.prefix_recall)
        for name, reports in evidence.diagnosed.items()
    )
    best = _best(evidence)
    gains = () if best is None else tuple(_gains(evidence.diagnosed, best.name))
    levels = level_names([any_report(evidence)])
    charts = [_recall_chart(evidence, recalls)]
    if best is not None and gains:
        charts.append(_gain_chart(best, gains))
    return Section(
        name="figure5",
        title="Figure 5: which prefixes survive",
        setting=evidence.setting.title,
        method=how_followed(evidence),
        findings=tuple(_finding(series, levels) for series in gains),
        tables=(_table(recalls),),
        charts=tuple(charts),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )


def _best(evidence: Evidence) -> _Best | None:
    """The best of the methods that are followed and not the paper's own; None of none."""
    kept = [each for each in evidence.figures.methods if each.name in evidence.diagnosed]
    seeds = _reported_seeds(evidence, kept)
    reported = [each for each in kept if set(seeds) <= set(evidence.diagnosed[each.name])]
    among = candidates(reported, seeds) if seeds else ()
    return _Best(best_baseline(reported, seeds).name, among, seeds) if among else None


def _reported_seeds(evidence: Evidence, methods: Sequence[MethodFigures]) -> tuple[int, ...]:
    """Seeds of which all of the paper's own methods have a test and a report."""
    own = [method.name for method in methods if method.name.startswith(OURS)]
    reports = [evidence.diagnosed[name] for name in own]
    return tuple(seed for seed in seeds_of_own(methods) if all(seed in each for each in reports))


def _gains(diagnosed: Mapping[str, Mapping[int, SavedSurvival]], best: str) -> Iterator[Series]:
    """Of runs of the same seed, so that what seeds share does not widen the intervals.

    A level at which no run has a prefix to divide by is left out.
    """
    for name, reports in diagnosed.items():
        if not name.startswith(OURS):
            continue
        both = [
            (mine.beam.prefix_recall, theirs.beam.prefix_recall)
            for mine, theirs in pairs(reports, diagnosed[best])
        ]
        ratios = {
            level: [mine[place] / theirs[place] - 1 for mine, theirs in both if theirs[place]]
            for place, level in enumerate(level_names(reports.values()))
        }
        known = {level: over_seeds(values) for level, values in ratios.items() if values}
        if known:
            yield Series(name=name, x=tuple(known), y=tuple(known.values()))


def _recall_chart(evidence: Evidence, recalls: tuple[Series, ...]) -> Chart:
    return Chart(
        name="prefix-recall",
        title=f"Prefix recall@{any_report(evidence).settings.beam_width}",
        kind="lines",
        x=Axis(label="after level"),
        y=Axis(label="targets whose prefix is in the beam", percent=True, from_zero=True),
        series=recalls,
        note="The paper counts prefixes from 0; its prefix 3 is our last level, the item.",
    )


def _gain_chart(best: _Best, gains: tuple[Series, ...]) -> Chart:
    return Chart(
        name="gain",
        title=f"Prefix recall beside {best.name}",
        kind="bars",
        x=Axis(label="after level"),
        y=Axis(label="relative difference", percent=True),
        series=gains,
        note=(
            f"{best.name} is the best on validation targets among {', '.join(best.among)}, over "
            f"{listed(best.seeds)}. Seed by seed; a level at which it keeps no prefix is left out."
        ),
    )


def _table(recalls: Sequence[Series]) -> Table:
    columns = [Column(name=f"level {name}", unit="share") for name in recalls[0].x]
    rows: tuple[tuple[Value, ...], ...] = tuple((series.name, *series.y) for series in recalls)
    return Table(
        name="by-level",
        title="Targets whose prefix is in the beam",
        columns=(Column(name="method"), *columns),
        rows=rows,
    )


def _finding(series: Series, levels: Sequence[str]) -> str:
    found = dict(zip(series.x, series.y, strict=True))
    shown = [f"{found[level].mean:+.1%}" if level in found else "undefined" for level in levels]
    means = [value.mean for value in series.y]
    grows = means == sorted(means) and means[0] < means[-1]
    word = "grows" if grows else "does not grow"
    return (
        f"{series.name}: relative difference by level {', '.join(shown)}; its mean {word} with "
        "the prefix."
    )
