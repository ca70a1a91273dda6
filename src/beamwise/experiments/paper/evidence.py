"""What an experiment of the paper has to show: its runs, tested, and what beams lost of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from beamwise.evaluation.significance import Interval, PairedTest
from beamwise.experiments.comparison_figures import comparison_figures
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.trained_run import TrainedRun, trained_run
from beamwise.experiments.saved_survival import SavedSurvival
from beamwise.report.objective_comparison import ComparisonFigures, MethodFigures
from beamwise.report.section import Estimate

HARMLESS = {"seeds", "grid_seeds", "resamples", "survival", "survival_of", "title"}
"""Groups of a comparison's settings that leave every run as it is."""


@dataclass(frozen=True)
class Evidence:
    """The runs of an experiment that are there."""

    setting: Setting
    comparison: Comparison
    methods: tuple[str, ...]
    """Some of the comparison's, the baseline among them."""
    seeds: tuple[int, ...]
    """Some of the comparison's."""
    command: str
    """That made it."""
    changed: tuple[str, ...] = ()
    """Settings that differ from the experiment's own, as key=value."""

    @cached_property
    def figures(self) -> ComparisonFigures:
        """Metrics of the tested runs, against the comparison's baseline.

        Raises:
            ValueError: As `comparison_figures`.
        """
        return comparison_figures(self.comparison, self.methods, self.seeds)

    def of_method(self, name: str) -> MethodFigures | None:
        """A method's figures; None while no run of it is tested."""
        return next((each for each in self.figures.methods if each.name == name), None)

    def against(
        self,
        baseline: str,
        methods: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> ComparisonFigures:
        """The same metrics against another method.

        Args:
            baseline: The other.
            methods: Some of these; all where not given.
            seeds: Some of these; all where not given.

        Raises:
            ValueError: As `comparison_figures`.
        """
        config = self.comparison.config.model_copy(update={"baseline": baseline})
        comparison = Comparison(config, self.comparison.out)
        return comparison_figures(
            comparison,
            self.methods if methods is None else methods,
            self.seeds if seeds is None else seeds,
        )

    @property
    def has_the_papers_models(self) -> bool:
        """Whether heights of figures compare: the paper's size, and no changed setting of runs."""
        groups = {text.partition("=")[0].partition(".")[0] for text in self.changed}
        return self.setting.size == "paper" and groups <= HARMLESS

    def survivals(self, method: str) -> dict[int, SavedSurvival]:
        """Survival reports of a method's runs by seed; those that are not there are left out.

        Raises:
            ValueError: If a report is damaged.
        """
        config = self.comparison.config.survival
        runs = {seed: self.comparison.final_run(method, seed) for seed in self.seeds}
        found = {seed: run.survival(config) for seed, run in runs.items() if run is not None}
        return {seed: report for seed, report in found.items() if report is not None}

    @cached_property
    def reports(self) -> dict[str, dict[int, SavedSurvival]]:
        """By method that is asked for one, in the comparison's order, and by seed.

        Raises:
            ValueError: If one is damaged.
        """
        asked = self.comparison.config.survival_of
        return {name: self.survivals(name) for name in asked if name in self.methods}

    @property
    def diagnosed(self) -> dict[str, dict[int, SavedSurvival]]:
        """The survival reports of every method that has one, by seed.

        Raises:
            ValueError: If there are none, or one is damaged.
        """
        there = {name: reports for name, reports in self.reports.items() if reports}
        if not there:
            raise ValueError(
                f"no survival report of {', '.join(self.reports) or 'any method'} in "
                f"{self.comparison.out}: run the experiment without --report first"
            )
        return there

    @cached_property
    def trained(self) -> dict[str, dict[int, TrainedRun]]:
        """The training of every tested method's runs, and of what these start from, by seed.

        Raises:
            ValueError: If a log is missing or damaged.
        """
        sources = {name: self.comparison.methods[name].start_from for name in self.methods}
        names = [method.name for method in self.figures.methods]
        names += [source for source in sources.values() if source is not None]
        return {name: dict(self._trained(name)) for name in dict.fromkeys(names)}

    def _trained(self, name: str) -> Iterator[tuple[int, TrainedRun]]:
        for seed in self.seeds:
            run = self.comparison.final_run(name, seed)
            if run is not None and run.is_trained:
                yield seed, trained_run(run, self.comparison.methods[name].start_from)

    @property
    def made_by(self) -> tuple[str, ...]:
        """Code, machine, and the seeds of the methods, a line each."""
        of_seeds: dict[tuple[int, ...], list[str]] = {}
        for method in self.figures.methods:
            of_seeds.setdefault(method.seeds, []).append(method.name)
        makers = (
            f"{maker.runs} runs: {maker.code or 'code not said'}, "
            f"{maker.machine or 'machine not said'}"
            for maker in self.figures.made_by
        )
        return (*makers, *(f"{listed(s)} of {', '.join(names)}" for s, names in of_seeds.items()))

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not there yet and what was left out, a line each."""
        untested = (f"{name}: {what}" for name, what in self.figures.missing.items())
        return (*untested, *self._unreported(), *self._left_out())

    def _unreported(self) -> Iterator[str]:
        for name, reports in self.reports.items():
            absent = tuple(seed for seed in self.seeds if seed not in reports)
            if absent:
                yield f"{name}: no survival report of {listed(absent)}"

    def _left_out(self) -> Iterator[str]:
        for name in self.comparison.methods:
            if name not in self.methods:
                yield f"{name}: left out"


def listed(seeds: Sequence[int]) -> str:
    """`seed 0`, or `seeds 0, 1, 2`."""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def estimate(shown: Interval | PairedTest) -> Estimate:
    """A mean or a difference with its interval."""
    mean = shown.mean if isinstance(shown, Interval) else shown.difference
    return Estimate(mean=mean, low=shown.low, high=shown.high)
