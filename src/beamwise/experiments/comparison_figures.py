"""The figures of a comparison, computed from the runs that are in its folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from beamwise.data.dataset import TOKENIZER_FOLDER
from beamwise.evaluation import Evaluation, SurvivalCounts
from beamwise.evaluation.pruned_targets import PrunedTargets
from beamwise.evaluation.significance import (
    PairedTest,
    Values,
    holm,
    mean_intervals,
    paired_tests,
)
from beamwise.experiments.objective_comparison import Comparison, PlannedRun
from beamwise.experiments.run_summary import summarise_run
from beamwise.report.leaf_names import leaf_names
from beamwise.report.objective_comparison import (
    ComparisonFigures,
    Maker,
    MethodFigures,
    MetricFigures,
    RunFigures,
    TriedPoint,
)
from beamwise.tokenization.fitted import has_titles
from beamwise.training.metrics_log import read_metrics
from beamwise.training.provenance import Origin, Provenance

USER_COLUMNS = ["user_id", "item_id"]
"""What must be the same, row by row, in results that are compared."""


@dataclass(frozen=True, eq=False)
class _Tested:
    """The tested runs of one method, and their metrics by name."""

    runs: dict[int, PlannedRun]
    evaluations: list[Evaluation]
    values: dict[str, Values]


def comparison_figures(
    comparison: Comparison, methods: Sequence[str], seeds: Sequence[int]
) -> ComparisonFigures:
    """Everything that a report says on some methods, from the runs that are there.

    The baseline is always among them. Seeds that are missing are left out and named.

    Raises:
        ValueError: If no run of the baseline is there, runs have different test users, or a folder
            holds a run of other settings or is damaged.
    """
    config = comparison.config
    baseline = config.baseline
    chosen = [name for name in comparison.methods if name in methods or name == baseline]
    found = {name: _tested(comparison, name, seeds) for name in chosen}
    tested = {name: each for name, each in found.items() if each.runs}
    if baseline not in tested:
        raise ValueError(
            f"no tested run of {baseline} in {comparison.out}, which all others are compared with: "
            "run the comparison without --report first"
        )
    _check_same_users({name: each.evaluations for name, each in tested.items()})
    metrics = _metric_figures(tested, comparison)
    any_run = next(iter(tested[baseline].runs.values()))
    runs = [run for each in tested.values() for run in each.runs.values()]
    return ComparisonFigures(
        title=config.title,
        baseline=baseline,
        ks=config.evaluation.ks,
        beam_width=config.evaluation.beam_width,
        users=len(tested[baseline].evaluations[0].per_user),
        selection=any_run.config.early_stopping.metric,
        resamples=config.resamples,
        methods=tuple(
            _method_figures(comparison, name, each, metrics[name]) for name, each in tested.items()
        ),
        missing=_missing(comparison, found, seeds),
        made_by=_makers(runs),
        leaves=leaf_names([has_titles(run.folder / TOKENIZER_FOLDER) for run in runs]),
    )


def _tested(comparison: Comparison, method: str, seeds: Sequence[int]) -> _Tested:
    runs: dict[int, PlannedRun] = {}
    evaluations: list[Evaluation] = []
    for seed in seeds:
        run = comparison.final_run(method, seed)
        evaluation = None if run is None else run.evaluation(comparison.config.evaluation)
        if run is not None and evaluation is not None:
            runs[seed] = run
            evaluations.append(evaluation)
    columns = metric_columns(comparison.config.evaluation.ks)
    values = {name: _stacked(evaluations, name) for name in columns} if runs else {}
    if runs:
        k = comparison.config.evaluation.ks[-1]
        values[f"survival@{k}"] = values[f"recall@{k}"] - values[f"recall@{k}_full_sort"]
    return _Tested(runs, evaluations, values)


def metric_columns(ks: Sequence[int], counted: str = "") -> list[str]:
    """Names of the per-user columns: recall and NDCG under either search.

    Args:
        ks: Cutoffs.
        counted: "" for counting by ID, "_by_item" for counting by item.
    """
    return [
        f"{metric}@{k}{counted}{end}"
        for end in ("", "_full_sort")
        for metric in ("recall", "ndcg")
        for k in ks
    ]


def _stacked(evaluations: Iterable[Evaluation], column: str) -> Values:
    return np.stack([each.per_user[column].to_numpy() for each in evaluations])


def _check_same_users(evaluations: Mapping[str, Sequence[Evaluation]]) -> None:
    first: pl.DataFrame | None = None
    for name, results in evaluations.items():
        for result in results:
            users = result.per_user.select(USER_COLUMNS)
            first = users if first is None else first
            if not users.equals(first):
                raise ValueError(
                    f"a run of {name} was tested on other users or targets than the first run: "
                    "train and test all methods on the same data and split"
                )


def _metric_figures(
    tested: Mapping[str, _Tested], comparison: Comparison
) -> dict[str, dict[str, MetricFigures]]:
    """By method and metric; users are drawn once for all of them.

    Methods with the same seeds are compared seed by seed: these runs began alike.
    """
    config = comparison.config
    values = {name: each.values for name, each in tested.items()}
    seeds = {name: list(each.runs) for name, each in tested.items()}
    keys = [(name, metric) for name, each in values.items() for metric in each]
    intervals = mean_intervals(
        [values[name][metric] for name, metric in keys], resamples=config.resamples
    )
    compared = [(name, metric) for name, metric in keys if name != config.baseline]
    tests = paired_tests(
        [(values[name][metric], values[config.baseline][metric]) for name, metric in compared],
        matched=[seeds[name] == seeds[config.baseline] for name, _ in compared],
        resamples=config.resamples,
    )
    test_of = dict(zip(compared, tests, strict=True))
    corrected = _corrected(test_of)
    figures: dict[str, dict[str, MetricFigures]] = {name: {} for name in values}
    for (name, metric), interval in zip(keys, intervals, strict=True):
        key = (name, metric)
        figures[name][metric] = MetricFigures(interval, test_of.get(key), corrected.get(key))
    return figures


def _corrected(tests: Mapping[tuple[str, str], PairedTest]) -> dict[tuple[str, str], float]:
    """Holm's correction over the methods, metric by metric."""
    corrected: dict[tuple[str, str], float] = {}
    for metric in {metric for _, metric in tests}:
        keys = [key for key in tests if key[1] == metric]
        corrected |= zip(keys, holm([tests[key].p for key in keys]), strict=True)
    return corrected


def _method_figures(
    comparison: Comparison, name: str, tested: _Tested, metrics: dict[str, MetricFigures]
) -> MethodFigures:
    method = comparison.methods[name]
    runs = list(tested.runs.values())
    by_item = metric_columns(comparison.config.evaluation.ks, "_by_item")
    survival = [each.survival for each in tested.evaluations if each.survival is not None]
    return MethodFigures(
        name=name,
        seeds=tuple(tested.runs),
        start_from=method.start_from,
        objective=_objective(runs[0]),
        metrics=metrics,
        by_item={column: float(_stacked(tested.evaluations, column).mean()) for column in by_item},
        survival=sum(survival, SurvivalCounts()),
        pruned=PrunedTargets.of([each.per_user for each in tested.evaluations]),
        runs=tuple(_run_figures(run) for run in runs),
        tried=tuple(_tried(comparison, name)) if method.grid else (),
        chosen=method.points[runs[0].point],
    )


def _objective(run: PlannedRun) -> str:
    config = run.config
    stages = [stage.objective.name for stage in config.stages]
    return " then ".join(stages) or config.objective.name


def _tried(comparison: Comparison, method: str) -> Iterable[TriedPoint]:
    for point, settings in comparison.methods[method].points.items():
        validation = comparison.validation(method, point)
        if validation is not None:
            runs = tuple(_run_figures(run) for run in comparison.trials(method, point))
            yield TriedPoint(settings, validation, runs)


def _run_figures(run: PlannedRun) -> RunFigures:
    summary = summarise_run(run.folder)
    try:
        lines = read_metrics(run.folder / "metrics.jsonl", "epoch")
    except (OSError, KeyError, json.JSONDecodeError):
        raise ValueError(f"{run.folder / 'metrics.jsonl'} is missing or damaged") from None
    is_timed = all("train_seconds" in line for line in lines)
    seconds = float(sum(line["train_seconds"] for line in lines)) if is_timed else None
    return RunFigures(run.seed, summary.epochs, summary.best, seconds)


def _makers(runs: Sequence[PlannedRun]) -> tuple[Maker, ...]:
    counted: Counter[tuple[str | None, str]] = Counter()
    for run in runs:
        origin = Origin.load(run.folder)
        made_by = origin.made_by if origin is not None else ()
        counted.update({(_code(maker), _machine(maker)) for maker in made_by} or {(None, "")})
    return tuple(Maker(count, *maker) for maker, count in counted.most_common())


def _code(maker: Provenance) -> str:
    """A commit says all where nothing was changed since."""
    if maker.commit is not None and not maker.commit.endswith("-dirty"):
        return f"commit {maker.commit}"
    return f"version {maker.version}, source {maker.source}"


def _machine(maker: Provenance) -> str:
    return maker.processor if maker.device == "cpu" else maker.device


def _missing(
    comparison: Comparison, found: Mapping[str, _Tested], seeds: Sequence[int]
) -> dict[str, str]:
    missing: dict[str, str] = {}
    for name, tested in found.items():
        absent = [str(seed) for seed in seeds if seed not in tested.runs]
        if comparison.chosen(name) is None:
            missing[name] = "settings are still being tried"
        elif absent:
            missing[name] = f"no test of seed {', '.join(absent)}"
    return missing
