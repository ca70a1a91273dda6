"""Parts that sections on compared methods share: the paper's figures beside ours, differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from beamwise.experiments.paper.evidence import Evidence, estimate
from beamwise.experiments.paper.method_notes import how_set, intervals
from beamwise.report.objective_comparison import ComparisonFigures, MethodFigures, Reproduction
from beamwise.report.objective_comparison_text import DIRECTION, LEVEL
from beamwise.report.published_results import reproductions
from beamwise.report.section import NO_VALUE, Axis, Chart, Column, Series, Table, Value

SHORT = {"recall": "R", "ndcg": "N"}
SEARCHES = {"beam search": "", "exact ranking": "_full_sort"}
"""Heading of columns, and end of the names of metrics."""


class Printed(NamedTuple):
    """Ours beside what the paper prints."""

    table: Table
    findings: tuple[str, ...]


def how_compared(evidence: Evidence) -> tuple[str, ...]:
    """What was done, how methods were set, and what intervals and p say."""
    figures = evidence.figures
    return (
        f"{figures.users:,} test users, beam of {figures.beam_width}. All methods have the same "
        "data, model and schedule unless their settings say otherwise. Epochs, and settings where "
        f"several were tried, were chosen by the validation targets ({figures.selection}); the "
        "test targets were ranked once, by beam search and exactly, and count by "
        f"{figures.leaves}.",
        *how_set(evidence),
        intervals(evidence),
    )


def beside_the_paper(evidence: Evidence, printed: Mapping[str, Mapping[str, float]]) -> Printed:
    """A row a method: the paper's value and ours for every metric, and whether it reproduces.

    Levels are told of the paper's models only; directions of all.

    Raises:
        ValueError: If the paper prints a metric that was not measured.
    """
    figures, levels = evidence.figures, evidence.has_the_papers_models
    names = list(next(iter(printed.values())))
    if lacking := [name for name in names if name not in figures.methods[0].metrics]:
        raise ValueError(
            f"the paper prints {lacking[0]}, and evaluation.ks is {list(figures.ks)}: add that "
            "cutoff, as --set evaluation.ks=[10,20]"
        )
    columns = [Column(name="method"), Column(name="seeds", unit="count")]
    for name in names:
        columns += [
            Column(name="paper", unit="metric", group=short(name)),
            Column(name="ours", unit="metric", group=short(name)),
        ]
    columns += [Column(name="level")] if levels else []
    found = reproductions(figures, printed, levels=levels)
    said = {each.method: each for each in found}
    rows: list[tuple[Value, ...]] = []
    for method in figures.methods:
        cells: list[Value] = [method.name, len(method.seeds)]
        for name in names:
            theirs = printed.get(method.name, {}).get(name, NO_VALUE)
            cells += [theirs, estimate(method.metrics[name].interval)]
        rows.append((*cells, *_said(said.get(method.name), levels=levels)))
    table = Table(
        name="beside-the-paper",
        title="The paper's figures and ours, under beam search",
        columns=(*columns, Column(name=f"direction against {figures.baseline}")),
        rows=tuple(rows),
        note=f"{LEVEL if levels else _why_no_levels(evidence)} {DIRECTION}",
    )
    return Printed(table, tuple(_counted(found, figures.baseline)))


def _said(found: Reproduction | None, *, levels: bool) -> tuple[Value, ...]:
    """The last cells of a row."""
    if found is None:
        absent = "no value in the paper"
        return (absent, absent) if levels else (absent,)
    direction = found.direction_text
    return (found.level, direction) if levels else (direction,)


def _why_no_levels(evidence: Evidence) -> str:
    why = "settings of them were changed"
    if evidence.setting.size != "paper":
        why = "they are smaller"
    return (
        f"These are not the paper's models ({why}), so that the height of their figures says "
        "nothing of its: only directions are told."
    )


def _counted(found: Sequence[Reproduction], baseline: str) -> Iterator[str]:
    """How many levels and directions say what."""
    levels = Counter(each.level for each in found if each.level is not None)
    if total := levels.total():
        parts = [f"{count} of {total} {level}" for level, count in levels.most_common()]
        yield f"Levels beside the paper's: {', '.join(parts)}."
    directions: dict[str, list[str]] = {}
    for each in found:
        if each.direction is not None:
            directions.setdefault(each.direction, []).append(each.method)
    if directions:
        total = sum(map(len, directions.values()))
        parts = [
            f"{direction} for {len(names)} of {total} ({', '.join(names)})"
            for direction, names in directions.items()
        ]
        yield (
            f"The printed directions against {baseline}, all metrics of a method together: "
            f"{'; '.join(parts)}."
        )


def difference_table(figures: ComparisonFigures) -> Table:
    """Differences to the baseline: by beam search, by exact ranking, and of survival."""
    k = figures.ks[-1]
    keys = {
        "beam search": f"recall@{k}",
        "exact ranking (the model)": f"recall@{k}_full_sort",
        "survival (beam - exact)": f"survival@{k}",
    }
    columns = [Column(name="method")]
    for group in keys:
        columns += [
            Column(name="difference", unit="difference", group=group),
            Column(name="p (Holm)", unit="p", group=group),
        ]
    rows = tuple(
        (method.name, *(cell for key in keys.values() for cell in _difference(method, key)))
        for method in figures.methods
        if method.name != figures.baseline
    )
    return Table(
        name="differences",
        title=f"Recall@{k} against {figures.baseline}: the model, and what survives",
        columns=tuple(columns),
        rows=rows,
        note=(
            "Recall under beam search is recall under exact ranking plus what the beam changes, so "
            "the first difference is the sum of the other two."
        ),
    )


def _difference(method: MethodFigures, key: str) -> tuple[Value, Value]:
    of_metric = method.metrics[key]
    return (None if of_metric.test is None else estimate(of_metric.test)), of_metric.holm_p


def recall_chart(figures: ComparisonFigures) -> Chart:
    """Recall of every method under both searches."""
    k = figures.ks[-1]
    names = tuple(method.name for method in figures.methods)
    searches = {"beam search": f"recall@{k}", "exact ranking": f"recall@{k}_full_sort"}
    series = tuple(
        Series(
            name=search,
            x=names,
            y=tuple(estimate(method.metrics[key].interval) for method in figures.methods),
        )
        for search, key in searches.items()
    )
    baseline = next(each for each in figures.methods if each.name == figures.baseline)
    marked = {figures.baseline: baseline.metrics[f"recall@{k}"].interval.mean}
    return Chart(
        name="recall",
        title=f"Recall@{k} by beam search and by exact ranking",
        kind="dots",
        x=Axis(label="method"),
        y=Axis(label=f"recall@{k}, by {figures.leaves}"),
        series=series,
        lines_at=marked,
        note="Means over users and seeds with 95 % intervals.",
    )


def short(metric: str) -> str:
    """R@10 of recall@10."""
    name, at = metric.split("@")
    return f"{SHORT[name]}@{at}"


def quality_names(figures: ComparisonFigures) -> list[str]:
    """Recall and NDCG at all cutoffs, as columns show them for each search."""
    return [f"{metric}@{k}" for metric in ("recall", "ndcg") for k in figures.ks]


def quality_columns(figures: ComparisonFigures, recall: str = "recall") -> list[Column]:
    """Method, seeds, and the metrics under both searches.

    Args:
        figures: Whose.
        recall: What recall with one target a user is called.
    """
    metrics = [
        Column(name=name.replace("recall", recall), unit="metric", group=group)
        for group in SEARCHES
        for name in quality_names(figures)
    ]
    return [Column(name="method"), Column(name="seeds", unit="count"), *metrics]


def quality_row(figures: ComparisonFigures, method: MethodFigures) -> list[Value]:
    """The cells of `quality_columns`."""
    keys = [f"{name}{end}" for end in SEARCHES.values() for name in quality_names(figures)]
    cells = [estimate(method.metrics[key].interval) for key in keys]
    return [method.name, len(method.seeds), *cells]
