"""The runs that a comparison of training methods consists of, and which of them are done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from beamwise.config import ConfigError, merged, parse_config, read_config
from beamwise.data.dataset import CATALOG_FOLDER, INTERACTIONS_FILE
from beamwise.evaluation import Evaluation, EvaluationConfig
from beamwise.evaluation.evaluation import SUMMARY_FILE
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig, with_changes
from beamwise.experiments.moved_runs import unplaced
from beamwise.experiments.run_summary import summarise_run
from beamwise.experiments.saved_survival import SURVIVAL_FILE, SavedSurvival
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, is_finished, weights_version
from beamwise.training.config import CONFIG_FILE, DataConfig, RunConfig
from beamwise.training.presets import preset
from beamwise.training.provenance import Origin
from beamwise.training.run_data import RunData

Step = Literal["training", "test", "survival report"]
"""What is done of a run, in this order."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a comparison, whether it is there or not."""

    method: str
    point: str
    """Its point of the grid; "" without one."""
    seed: int
    config: RunConfig

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        return self.config.out

    @property
    def label(self) -> str:
        """For messages."""
        at = f" with {self.point}" if self.point else ""
        return f"{self.method}{at}, seed {self.seed}"

    @property
    def is_trained(self) -> bool:
        """Whether its folder holds it, trained to the end.

        Raises:
            ValueError: If the folder holds a finished run of other settings, or is damaged.
        """
        described = self.folder / CONFIG_FILE
        if not described.is_file() or not is_finished(self.folder / CHECKPOINT_FOLDER):
            return False
        theirs, ours = unplaced(read_config(RunConfig, described)), unplaced(self.config)
        if changed := [key for key in ours if ours[key] != theirs[key]]:
            raise ValueError(
                f"{self.folder} holds a run with other settings ({', '.join(changed)}) than "
                f"{self.label} has now: choose another --out, or delete that folder"
            )
        self._check_data()
        return True

    def _check_data(self) -> None:
        """Refuse a run of other items, tokens, interactions or targets than the data have now."""
        theirs, ours = _catalog_version(self.folder), _catalog_version(self.config.data.folder)
        if theirs != ours:
            raise ValueError(
                f"{self.folder} was trained with catalog {theirs}, {self.config.data.folder} has "
                f"{ours}: give the data that it was trained on, or choose another --out"
            )
        origin = Origin.load(self.folder)
        if origin is not None and origin.data != (now := _data_version(self.config.data)):
            raise ValueError(
                f"{self.folder} was trained on data {origin.data}, {self.config.data.folder} has "
                f"{now}, with other users, interactions or targets: give the data that it was "
                "trained on, or choose another --out"
            )
        begin = self.config.start_from
        if origin is None or begin is None or not (begin / CHECKPOINT_FOLDER).is_dir():
            return
        if origin.source != weights_version(begin / CHECKPOINT_FOLDER):
            raise ValueError(
                f"{self.folder} began with other weights than {begin} has now: delete "
                f"{self.folder}, and it is trained again"
            )

    def evaluation(self, config: EvaluationConfig) -> Evaluation | None:
        """Its test under these settings; None where it is not trained or not so tested.

        Raises:
            ValueError: As `is_trained`, or if the result is damaged.
        """
        if not self.is_trained or not (self.folder / SUMMARY_FILE).is_file():
            return None
        saved = Evaluation.load(self.folder)
        is_asked_for = saved.config == self.tested_with(config) and saved.data is None
        return saved if is_asked_for and saved.weights == self._weights else None

    @property
    def _weights(self) -> str | None:
        """What results must be of: one of earlier weights, or that does not say, is no result."""
        return weights_version(self.folder / CHECKPOINT_FOLDER)

    def tested_with(self, config: EvaluationConfig) -> EvaluationConfig:
        """The comparison's settings of the test, with the mask that the method decodes with."""
        return config.model_copy(update={"mask": self.config.evaluation.mask})

    def survival(self, config: SurvivalConfig) -> SavedSurvival | None:
        """Its survival report under these settings; None where there is none.

        Raises:
            ValueError: As `is_trained`, or if the report is damaged.
        """
        if not self.is_trained:
            return None
        saved = SavedSurvival.load(self.folder)
        if saved is None or saved.settings != self.diagnosed_with(config):
            return None
        return saved if saved.weights == self._weights else None

    def diagnosed_with(self, config: SurvivalConfig) -> SurvivalConfig:
        """The comparison's settings of survival reports, with the mask of the method."""
        return config.model_copy(update={"mask": self.config.evaluation.mask})


class Comparison:
    """The runs of a comparison in one folder: `METHOD/seed-S`, and `METHOD/POINT/seed-S` of grids.

    Only files say what is done, so several processes may look at one folder.
    """

    def __init__(self, config: ComparisonConfig, out: Path) -> None:
        """Read the shared settings and check every method's.

        Raises:
            ConfigError: If the settings of a method do not exist or are refused.
        """
        self.config = config
        self.out = out.resolve()
        self.methods = {method.name: method for method in config.methods}
        self._shared = with_changes(self._base(), config.settings)
        self._chosen: dict[str, str] = {}
        for method in config.methods:
            for point in method.points:
                self._check(method, point)

    def run(self, method: str, point: str, seed: int) -> PlannedRun | None:
        """A run; None while it is not known which run its weights come from."""
        source = self.methods[method].start_from
        if source is None:
            return self._run(method, point, seed)
        begin = self.final_run(source, seed)
        return None if begin is None else self._run(method, point, seed, begin.folder)

    def any_runs(self, method: str) -> Iterator[PlannedRun]:
        """Every run that a method may have, grid and all, but for what its weights come from."""
        for point in self.methods[method].points:
            for seed in self.config.seeds:
                yield self._run(method, point, seed)

    def _run(
        self, method: str, point: str, seed: int, start_from: Path | None = None
    ) -> PlannedRun:
        settings = self._settings(method, point)
        below = self.out / method / point if point else self.out / method
        settings["out"] = str(below / f"seed-{seed}")
        settings["training"] = merged(settings.get("training", {}), {"seed": seed})
        if start_from is not None:
            settings["start_from"] = str(start_from)
        return PlannedRun(method, point, seed, parse_config(RunConfig, settings, source=method))

    def chosen(self, method: str) -> str | None:
        """The point of the grid that did best on validation; None while not all are trained.

        The mean over the grid's seeds decides; of equal ones the first.
        """
        points = list(self.methods[method].points)
        if len(points) == 1:
            return points[0]
        if method not in self._chosen:
            values: dict[str, float] = {}
            for point in points:
                value = self.validation(method, point)
                if value is None:
                    return None
                values[point] = value
            self._chosen[method] = max(points, key=values.__getitem__)
        return self._chosen[method]

    def trials(self, method: str, point: str) -> list[PlannedRun]:
        """The runs on which a point of a grid is judged, as far as they are trained."""
        runs = [self.run(method, point, seed) for seed in self.config.trial_seeds]
        return [run for run in runs if run is not None and run.is_trained]

    def validation(self, method: str, point: str) -> float | None:
        """Best validation metric of a point, mean over the grid's seeds; None while untrained."""
        trials = self.trials(method, point)
        if len(trials) < len(self.config.trial_seeds):
            return None
        best = [summarise_run(run.folder).best for run in trials]
        return sum(value for value in best if value is not None) / len(best)

    def final_run(self, method: str, seed: int) -> PlannedRun | None:
        """A method's run that is tested; None while its grid is not decided."""
        point = self.chosen(method)
        return None if point is None else self.run(method, point, seed)

    def needed(self, method: str, seed: int) -> Iterator[PlannedRun]:
        """The runs that a method needs for a seed, as far as known, those it starts from first."""
        point = self.chosen(method)
        if point is not None:
            yield from self._with_source(method, point, seed)
            return
        for trial in self.config.trial_seeds:
            for each in self.methods[method].points:
                yield from self._with_source(method, each, trial)

    def steps(self, method: str) -> tuple[Step, ...]:
        """All that is done with a run that stands for its method, in order."""
        told: tuple[Step, ...] = ("survival report",) if method in self.config.survival_of else ()
        return ("training", "test", *told)

    def steps_left(self, run: PlannedRun, tested: bool) -> tuple[Step, ...]:
        """What is still to do of a run, in order.

        Args:
            run: One of its runs.
            tested: Whether it stands for its method, and not only for a point of a grid.

        Raises:
            ValueError: As `PlannedRun.is_trained`, or if a result is damaged.
        """
        is_done: dict[Step, Callable[[], bool]] = {
            "training": lambda: run.is_trained,
            "test": lambda: run.evaluation(self.config.evaluation) is not None,
            "survival report": lambda: run.survival(self.config.survival) is not None,
        }
        steps = self.steps(run.method) if tested else ("training",)
        return tuple(step for step in steps if not is_done[step]())

    def step_seconds(self, step: Step, mask: str) -> float | None:
        """Mean time of the tests or survival reports in the folder that masked so; None of none.

        Raises:
            ValueError: If a result is damaged.
        """
        name = SUMMARY_FILE if step == "test" else SURVIVAL_FILE
        folders = [path.parent for path in self.out.rglob(f"seed-*/{name}")]
        if step == "test":
            tests = map(Evaluation.load, folders)
            timed = [test.seconds for test in tests if test.config.mask == mask]
        else:
            found = map(SavedSurvival.load, folders)
            reports = [report for report in found if report and report.settings.mask == mask]
            timed = [report.seconds for report in reports if report.seconds is not None]
        return sum(timed) / len(timed) if timed else None

    def _with_source(self, method: str, point: str, seed: int) -> Iterator[PlannedRun]:
        source = self.methods[method].start_from
        if source is not None:
            yield from self.needed(source, seed)
        run = self.run(method, point, seed)
        if run is not None:
            yield run

    def _base(self) -> dict[str, Any]:
        if self.config.preset is not None:
            return preset(self.config.preset) | {"out": str(self.out)}
        base = read_config(RunConfig, self.config.base, base={"out": str(self.out)})
        return base.model_dump(mode="json", exclude_unset=True)

    def _check(self, method: MethodConfig, point: str) -> None:
        source = f"method {method.name} {point}".strip()
        run = parse_config(RunConfig, self._settings(method.name, point), source)
        if method.grid and run.early_stopping.metric == "loss":
            raise ConfigError(
                f"method {method.name} has a grid and early_stopping.metric is the loss, which the "
                "settings tried may change by themselves: judge by ndcg@10 or recall@10"
            )

    def _settings(self, method: str, point: str) -> dict[str, Any]:
        changes = self.methods[method].settings
        return with_changes(with_changes(self._shared, changes), self.methods[method].points[point])


def _data_version(config: DataConfig) -> str:
    """The version of the data under some settings, read once in a process unless they change."""
    written = (config.folder / INTERACTIONS_FILE).stat().st_mtime_ns
    return _read_version(config.model_dump_json(), written)


@cache
def _read_version(settings: str, written: int) -> str:  # noqa: ARG001
    return RunData.load(DataConfig.model_validate_json(settings)).version


def _catalog_version(folder: Path) -> str:
    path = folder / CATALOG_FOLDER / "catalog.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["version"])
    except (OSError, KeyError, ValueError):
        raise ValueError(
            f"{folder} has no readable catalog: give a prepared and tokenized data folder"
        ) from None
