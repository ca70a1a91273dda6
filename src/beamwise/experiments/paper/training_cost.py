"""What training costs, as a table and a chart of any experiment: seconds, ratios, epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.seeds import OVER_SEEDS, over_seeds, pairs
from beamwise.experiments.paper.trained_run import TrainedRun
from beamwise.report.section import (
    NO_VALUE,
    Axis,
    Chart,
    Column,
    Estimate,
    Series,
    Table,
    Unit,
    Value,
)

HOW_TIMED = (
    "Seconds are those of optimiser steps, without validation, as logged by the runs. They are "
    "given, and compared, only where all runs in question were trained by one machine with as many "
    "cores; several processes may have shared it. Epochs are those trained until early stopping or "
    "the limit ended a run, the patience after the best one included; how many runs the limit "
    "ended stands beside them. Of a second stage they are its own, and, with its source, those of "
    "the run of the same seed that it starts from as well."
)


@dataclass(frozen=True)
class Costs:
    """The training of an experiment's methods, beside one of them."""

    trained: Mapping[str, Mapping[int, TrainedRun]]
    """By method and seed."""
    baseline: str
    """Whose seconds an epoch are 1."""

    @classmethod
    def of(cls, evidence: Evidence, baseline: str) -> Costs:
        """Those of the runs that are there.

        Raises:
            ValueError: If a log is missing or damaged.
        """
        return cls(evidence.trained, baseline)

    def runs(self, method: str) -> Mapping[int, TrainedRun]:
        """By seed; none where the method has none."""
        return self.trained.get(method, {})

    def epoch_seconds(self, method: str) -> Estimate | None:
        """Of optimiser steps an epoch; None where that is not known or of several machines."""
        runs = list(self.runs(method).values())
        values = [run.epoch_seconds for run in runs]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values) or not _on_one_machine(runs):
            return None
        return over_seeds(known)

    def ratio(self, method: str) -> Estimate | None:
        """Seconds an epoch by those of the baseline, seed by seed; None where not comparable."""
        both = pairs(self.runs(method), self.runs(self.baseline))
        if not both or not _on_one_machine([run for pair in both for run in pair]):
            return None
        seconds = [(mine.epoch_seconds, theirs.epoch_seconds) for mine, theirs in both]
        ratios = [mine / theirs for mine, theirs in seconds if mine is not None and theirs]
        return over_seeds(ratios) if len(ratios) == len(both) else None

    def with_source(
        self, method: str, value: Callable[[TrainedRun], float | None]
    ) -> Estimate | None:
        """A value of the runs added to that of the runs that they start from.

        None where it is not known of all. Seconds of several machines do not add up; the caller
        looks at `is_of_one_machine`.
        """
        sums = [self._summed(run, seed, value) for seed, run in self.runs(method).items()]
        known = [total for total in sums if total is not None]
        return over_seeds(known) if known and len(known) == len(sums) else None

    def is_of_one_machine(self, method: str) -> bool:
        """Whether all its runs, and those that they start from, were trained by one."""
        runs = self.runs(method)
        sources = [source for seed, run in runs.items() for source in self._sources(run, seed)]
        return _on_one_machine([*runs.values(), *sources])

    def _summed(
        self, run: TrainedRun, seed: int, value: Callable[[TrainedRun], float | None]
    ) -> float | None:
        chain = [run, *self._sources(run, seed)]
        if chain[-1].source is not None:  # the run that it starts from is not there
            return None
        values = [value(each) for each in chain]
        known = [each for each in values if each is not None]
        return sum(known) if len(known) == len(values) else None

    def _sources(self, run: TrainedRun, seed: int) -> Iterator[TrainedRun]:
        source = run.source
        while source is not None and seed in self.runs(source):
            found = self.runs(source)[seed]
            yield found
            source = found.source


def cost_table(
    evidence: Evidence, baseline: str, printed: Mapping[str, tuple[float, int]] | None = None
) -> Table:
    """A row a method.

    Args:
        evidence: Its runs.
        baseline: Whose seconds an epoch are 1.
        printed: Seconds an epoch and epochs of a paper by method; its columns are left out where
            not given.
    """
    costs = Costs.of(evidence, baseline)
    names = [method.name for method in evidence.figures.methods]
    rows = (_row(costs, name, printed) for name in names)
    return Table(
        name="cost",
        title="Seconds an epoch, and epochs",
        columns=tuple(_columns(baseline, printed is not None)),
        rows=tuple(rows),
        note=" ".join((OVER_SEEDS, *_not_compared(costs, names))),
    )


def cost_charts(
    evidence: Evidence,
    baseline: str,
    printed: Mapping[str, tuple[float, int]] = {},
    lines_at: Mapping[str, float] = {},
) -> tuple[Chart, ...]:
    """Seconds an epoch by those of the baseline; none where nothing can be compared with it.

    Args:
        evidence: Its runs.
        baseline: Whose seconds an epoch are 1.
        printed: Seconds an epoch and epochs of a paper by method, whose ratios stand beside ours.
        lines_at: Ratios to mark beside the baseline's, by their label.
    """
    costs = Costs.of(evidence, baseline)
    names = [method.name for method in evidence.figures.methods if method.name != baseline]
    ours = {name: ratio for name in names if (ratio := costs.ratio(name)) is not None}
    if not ours:
        return ()
    theirs = {
        name: Estimate(mean=ratio)
        for name in ours
        if (ratio := _printed_ratio(printed, name, baseline)) is not None
    }
    chart = Chart(
        name="epoch-seconds",
        title=f"Seconds an epoch beside those of {baseline}",
        kind="dots",
        x=Axis(label="method"),
        y=Axis(label=f"seconds an epoch, as multiples of {baseline}", from_zero=True),
        series=tuple(
            Series(name=name, x=tuple(ratios), y=tuple(ratios.values()))
            for name, ratios in (("ours", ours), ("paper", theirs))
            if ratios
        ),
        lines_at={baseline: 1.0, **lines_at},
        note=f"Of runs that one machine trained. {OVER_SEEDS}",
    )
    return (chart,)


def _columns(baseline: str, is_printed: bool) -> Iterator[Column]:
    yield Column(name="method")
    groups: dict[str, Unit] = {"seconds an epoch": "seconds", f"times {baseline}": "number"}
    for group, unit in groups.items():
        if is_printed:
            yield Column(name="paper", unit=unit, group=group)
        yield Column(name="ours", unit=unit, group=group)
    if is_printed:
        yield Column(name="paper", unit="count", group="epochs")
    yield Column(name="trained", unit="number", group="epochs")
    yield Column(name="with its source", unit="number", group="epochs")
    yield Column(name="best", unit="number", group="epochs")
    yield Column(name="ended by the limit", group="epochs")
    yield Column(name="alone", unit="seconds", group="training")
    yield Column(name="with its source", unit="seconds", group="training")


def _row(
    costs: Costs, name: str, printed: Mapping[str, tuple[float, int]] | None
) -> tuple[Value, ...]:
    runs = list(costs.runs(name).values())
    best = [float(run.best_epoch) for run in runs if run.best_epoch is not None]
    cells: list[Value] = [name]
    theirs: list[Value] = [None] * 3 if printed is None else _printed(printed, name, costs.baseline)
    ours: list[Value] = [costs.epoch_seconds(name), costs.ratio(name)]
    if printed is None:
        cells += ours
    else:
        cells += [theirs[0], ours[0], theirs[1], ours[1], theirs[2]]
    cells += [
        over_seeds([float(run.epochs) for run in runs]) if runs else None,
        costs.with_source(name, lambda run: float(run.epochs)),
        over_seeds(best) if best else None,
        f"{sum(run.is_capped for run in runs)} of {len(runs)}",
        _alone(runs),
        costs.with_source(name, lambda run: run.seconds) if costs.is_of_one_machine(name) else None,
    ]
    return tuple(cells)


def _printed(printed: Mapping[str, tuple[float, int]], name: str, baseline: str) -> list[Value]:
    """Seconds an epoch, their ratio to the baseline's, and epochs."""
    if name not in printed:
        return [NO_VALUE] * 3
    seconds, epochs = printed[name]
    ratio = _printed_ratio(printed, name, baseline)
    return [seconds, NO_VALUE if ratio is None else ratio, epochs]


def _printed_ratio(
    printed: Mapping[str, tuple[float, int]], name: str, baseline: str
) -> float | None:
    """None where the paper has no seconds of both."""
    both = name in printed and baseline in printed
    return printed[name][0] / printed[baseline][0] if both else None


def _alone(runs: Sequence[TrainedRun]) -> Estimate | None:
    seconds = [run.seconds for run in runs if run.seconds is not None]
    is_known = len(seconds) == len(runs) and _on_one_machine(runs)
    return over_seeds(seconds) if seconds and is_known else None


def _on_one_machine(runs: Iterable[TrainedRun]) -> bool:
    """Whether all say what trained them, and it is the same one."""
    said = [run.machines for run in runs]
    return all(said) and len({machine for machines in said for machine in machines}) == 1


def _not_compared(costs: Costs, names: Sequence[str]) -> Iterator[str]:
    """Why there is no ratio, where that is for the machines."""
    apart = [
        name
        for name in names
        if (both := pairs(costs.runs(name), costs.runs(costs.baseline)))
        and not _on_one_machine([run for pair in both for run in pair])
    ]
    if apart:
        yield (
            f"No ratio to {costs.baseline} of {', '.join(apart)}: the runs were trained by several "
            "machines or numbers of cores, or do not say by which."
        )
