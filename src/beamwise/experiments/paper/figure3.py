"""Figure 3 and Table 5: how beta and eta matter, and which are best on validation targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.seeds import (
    OVER_SEEDS,
    SeedDifference,
    over_seeds,
    seed_difference,
)
from beamwise.experiments.paper.setting import CE, Setting
from beamwise.report.numbers import p_text
from beamwise.report.objective_comparison import MethodFigures, RunFigures
from beamwise.report.published_results import apao_tables
from beamwise.report.section import Axis, Chart, Column, Section, Series, Table, Value

VARIANTS = ("pointwise", "pairwise")
GRIDS: dict[str, tuple[float, ...]] = {
    "beta": (0.05, 0.1, 0.2, 0.3, 0.4),
    "eta": (5e-6, 1e-5, 3e-5, 5e-5, 1e-4, 5e-4),
}
"""The paper's."""
Curve = Mapping[float, Mapping[int, float]]
"""Best validation metric by the value tried and by seed."""


class _Sweep(NamedTuple):
    """One setting of one form of APAO."""

    method: str
    setting: str
    curve: Curve
    papers: float
    """Its value in the paper's Table 5."""

    @property
    def best(self) -> float:
        return max(self.curve, key=lambda value: over_seeds(_values(self.curve[value])).mean)

    @property
    def gain(self) -> SeedDifference | None:
        """Of the best value over the paper's; None where that was not tried, or is the best."""
        if self.papers not in self.curve or self.best == self.papers:
            return None
        return seed_difference(self.curve[self.best], self.curve[self.papers])


def comparison(setting: Setting) -> ComparisonConfig:
    """Values of beta that the paper tried, with eta as in its Table 5, and the other way round."""
    return setting.comparison("Figure 3", CE, *_swept(setting))


def _swept(setting: Setting) -> Iterator[MethodConfig]:
    for variant in VARIANTS:
        for name, values in GRIDS.items():
            method = setting.alignment(variant, f"apao-{variant}-{name}")
            yield method.model_copy(update={"grid": {f"objective.{name}": values}})


def section(evidence: Evidence) -> Section:
    """A curve for each form and setting, and the best of each beside the paper's Table 5."""
    sweeps = tuple(_sweeps(evidence))
    return Section(
        name="figure3",
        title="Figure 3 and Table 5: sensitivity to beta and eta",
        setting=evidence.setting.title,
        method=(
            f"Validation {evidence.figures.selection} of the best epoch. One setting moves over "
            "the paper's grid, the other stays at the paper's Table 5. " + OVER_SEEDS,
            "The best of several values is picked by the same figures that are shown, so its "
            "difference to another, and p, flatter it.",
        ),
        findings=tuple(_finding(sweep) for sweep in sweeps if len(sweep.curve) > 1),
        tables=(_best_table(sweeps),),
        charts=tuple(_charts(evidence, sweeps)),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )


def _sweeps(evidence: Evidence) -> Iterator[_Sweep]:
    of_data = apao_tables()["table5"][evidence.setting.backbone]
    for variant in VARIANTS:
        for name in GRIDS:
            method = evidence.of_method(f"apao-{variant}-{name}")
            curve = {} if method is None else _curve(method, name)
            if curve:
                papers = float(of_data[f"apao-{variant}"][evidence.setting.dataset][name])
                yield _Sweep(f"apao-{variant}", name, curve, papers)


def _curve(method: MethodFigures, name: str) -> dict[float, dict[int, float]]:
    points = {float(each.settings[f"objective.{name}"]): _of(each.runs) for each in method.tried}
    return {value: found for value, found in points.items() if found}


def _of(runs: tuple[RunFigures, ...]) -> dict[int, float]:
    best = {run.seed: run.best_validation for run in runs}
    return {seed: value for seed, value in best.items() if value is not None}


def _values(by_seed: Mapping[int, float]) -> list[float]:
    return list(by_seed.values())


def _charts(evidence: Evidence, sweeps: tuple[_Sweep, ...]) -> Iterator[Chart]:
    baseline = evidence.of_method(evidence.figures.baseline)
    known = {} if baseline is None else _of(baseline.runs)
    marked = {evidence.figures.baseline: over_seeds(_values(known)).mean} if known else {}
    for name in GRIDS:
        series = tuple(
            Series(
                name=sweep.method,
                x=tuple(sweep.curve),
                y=tuple(over_seeds(_values(found)) for found in sweep.curve.values()),
            )
            for sweep in sweeps
            if sweep.setting == name
        )
        if series:
            yield Chart(
                name=name,
                title=f"{name}, the other setting as in Table 5",
                kind="lines",
                x=Axis(label=name, log=name == "eta"),
                y=Axis(label=f"validation {evidence.figures.selection}"),
                series=series,
                lines_at=marked,
                note=OVER_SEEDS,
            )


def _best_table(sweeps: tuple[_Sweep, ...]) -> Table:
    return Table(
        name="best",
        title="Best settings on validation targets",
        columns=(
            Column(name="method"),
            Column(name="setting"),
            Column(name="value", group="paper (Table 5)"),
            Column(name="ours there", unit="metric", group="paper (Table 5)"),
            Column(name="value", group="best of ours"),
            Column(name="ours there", unit="metric", group="best of ours"),
            Column(name="difference", unit="difference", group="best - paper's"),
            Column(name="p", unit="p", group="best - paper's"),
        ),
        rows=tuple(_row(sweep) for sweep in sweeps),
        note="p: of Student's t over the differences of seeds; none with one seed.",
    )


def _row(sweep: _Sweep) -> tuple[Value, ...]:
    there, gain = sweep.curve.get(sweep.papers), sweep.gain
    return (
        sweep.method,
        sweep.setting,
        f"{sweep.papers:g}",
        None if there is None else over_seeds(_values(there)),
        f"{sweep.best:g}",
        over_seeds(_values(sweep.curve[sweep.best])),
        None if gain is None else gain.estimate,
        None if gain is None else gain.p,
    )


def _finding(sweep: _Sweep) -> str:
    means = [over_seeds(_values(found)).mean for found in sweep.curve.values()]
    return (
        f"{sweep.method}: over its grid, {sweep.setting} moves the metric from {min(means):.4f} to "
        f"{max(means):.4f}; best {sweep.best:g}{_beside_the_paper(sweep)}."
    )


def _beside_the_paper(sweep: _Sweep) -> str:
    """What seeds say of the best value beside the paper's; of one seed, nothing."""
    if sweep.best == sweep.papers:
        return ", the paper's"
    if sweep.papers not in sweep.curve:
        return f", the paper's {sweep.papers:g} was not tried"
    text = f", the paper's {sweep.papers:g}"
    if (gain := sweep.gain) is None or gain.p is None:
        return text
    low, high = gain.estimate.low, gain.estimate.high
    return (
        f"{text}, {gain.estimate.mean:+.4f} from it [{low:+.4f}, {high:+.4f}], p {p_text(gain.p)} "
        "over seeds"
    )
