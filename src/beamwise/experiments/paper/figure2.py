"""Figure 2: APAO without one of its parts, and without the loss of one prefix length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.experiments.paper.comparison_parts import difference_table, how_compared
from beamwise.experiments.paper.evidence import Evidence, estimate
from beamwise.experiments.paper.setting import CE, Setting
from beamwise.report.objective_comparison import ComparisonFigures, MethodFigures
from beamwise.report.section import Axis, Chart, Column, Section, Series, Table, Value

VARIANTS = ("pointwise", "pairwise")
PARTS: dict[str, dict[str, object]] = {
    "without-ce": {"ce_weight": 0.0},
    "without-adaptive-weights": {"prefix_weights": "uniform"},
}
"""What is left out, and how."""
NUM_PREFIXES = 4
"""Of a semantic ID in the paper's data."""


def comparison(setting: Setting) -> ComparisonConfig:
    """Both forms of APAO, whole and without one part.

    Left out are cross-entropy, adaptive weights (uniform ones in their place), and the loss of each
    prefix length.

    Without a prefix-aware loss APAO is `ce`.
    """
    return setting.comparison("Figure 2", CE, *_ablated(setting))


def _ablated(setting: Setting) -> Iterator[MethodConfig]:
    for variant in VARIANTS:
        yield setting.alignment(variant)
        for part, changes in PARTS.items():
            yield setting.alignment(variant, f"apao-{variant}-{part}", changes)
        for length in range(1, NUM_PREFIXES + 1):
            others = [each for each in range(1, NUM_PREFIXES + 1) if each != length]
            name = f"apao-{variant}-without-prefix-{length}"
            yield setting.alignment(variant, name, {"prefixes": others})


def section(evidence: Evidence) -> Section:
    """Bars by what was left out, of both forms, and differences to the whole of each."""
    omissions = {
        f"apao-{variant}": figures
        for variant in VARIANTS
        if (figures := _omissions(evidence, f"apao-{variant}")) is not None
    }
    return Section(
        name="figure2",
        title="Figure 2: what each part of APAO adds",
        setting=evidence.setting.title,
        method=how_compared(evidence),
        findings=tuple(_finding(whole, figures) for whole, figures in omissions.items()),
        tables=(
            *(_omission_table(whole, figures) for whole, figures in omissions.items()),
            difference_table(evidence.figures),
        ),
        charts=tuple(_charts(evidence)),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )


def _omissions(evidence: Evidence, whole: str) -> ComparisonFigures | None:
    """A form of APAO without its parts, against the whole; `ce` is it without its prefix loss.

    None while the whole is not there.
    """
    if evidence.of_method(whole) is None:
        return None
    parts = [name for name in evidence.methods if name.startswith(f"{whole}-without")]
    return evidence.against(whole, (whole, CE.name, *parts))


def _left_out(whole: str, method: MethodFigures) -> str:
    if method.name == CE.name:
        return "without prefix loss (ce)"
    return method.name.removeprefix(f"{whole}-").replace("-", " ")


def _omission_table(whole: str, figures: ComparisonFigures) -> Table:
    metrics = {"NDCG": f"ndcg@{figures.ks[0]}", "recall": f"recall@{figures.ks[-1]}"}
    columns = [Column(name=whole)]
    for name in metrics.values():
        columns += [
            Column(name="mean", unit="metric", group=name),
            Column(name="difference", unit="difference", group=name),
            Column(name="p (Holm)", unit="p", group=name),
        ]
    rows: list[tuple[Value, ...]] = []
    for method in figures.methods:
        is_whole = method.name == whole
        cells: list[Value] = ["whole" if is_whole else _left_out(whole, method)]
        for name in metrics.values():
            of = method.metrics[name]
            difference = None if of.test is None else estimate(of.test)
            cells += [estimate(of.interval), difference, of.holm_p]
        rows.append(tuple(cells))
    return Table(
        name=f"against-{whole}",
        title=f"{whole} without one part, against the whole",
        columns=tuple(columns),
        rows=tuple(sorted(rows, key=lambda row: row[0] != "whole")),
        note="Under beam search; p is corrected for the omissions of this table.",
    )


def _charts(evidence: Evidence) -> Iterator[Chart]:
    parts = {
        "whole": "",
        "without CE": "-without-ce",
        "uniform weights": "-without-adaptive-weights",
    }
    prefixes = {"whole": ""} | {
        f"without prefix {length}": f"-without-prefix-{length}"
        for length in range(1, NUM_PREFIXES + 1)
    }
    for name, title, ends in (
        ("parts", "Without one part", {**parts, "without prefix loss": None}),
        ("prefixes", "Without the loss of one prefix length", prefixes),
    ):
        chart = _chart(evidence, name, title, ends)
        if chart is not None:
            yield chart


def _chart(
    evidence: Evidence, name: str, title: str, ends: Mapping[str, str | None]
) -> Chart | None:
    k = evidence.figures.ks[0]
    series: list[Series] = []
    for variant in VARIANTS:
        methods = {
            label: evidence.of_method("ce" if end is None else f"apao-{variant}{end}")
            for label, end in ends.items()
        }
        values = {
            label: estimate(method.metrics[f"ndcg@{k}"].interval)
            for label, method in methods.items()
            if method is not None
        }
        if values:
            method = f"apao-{variant}"
            series.append(Series(name=method, x=tuple(values), y=tuple(values.values())))
    if not series:
        return None
    return Chart(
        name=name,
        title=title,
        kind="bars",
        x=Axis(label=""),
        y=Axis(label=f"NDCG@{k}, beam search", from_zero=True),
        series=tuple(series),
        note="Means over users and seeds with 95 % intervals.",
    )


def _finding(whole: str, figures: ComparisonFigures) -> str:
    """Which omissions are established to lower NDCG, against the whole method."""
    metric = f"ndcg@{figures.ks[0]}"
    others = [method for method in figures.methods if method.name != whole]
    lower = [
        _left_out(whole, method)
        for method in others
        if method.metrics[metric].is_established
        and (test := method.metrics[metric].test) is not None
        and test.difference < 0
    ]
    named = f" ({', '.join(lower)})" if lower else ""
    return (
        f"{whole}: of {len(others)} omissions, {len(lower)} are established to lower "
        f"{metric.upper()}{named}."
    )
