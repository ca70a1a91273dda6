"""A store of the paper's experiments on a tiny shop, trained once, and figures made by hand."""

from pathlib import Path

import pytest

from beamwise.config import changed_config
from beamwise.evaluation.significance import Interval, PairedTest
from beamwise.evaluation.survival import SurvivalCounts
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.experiments.comparison_runner import ComparisonWatcher, run_comparison
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.experiments import EXPERIMENTS
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.trained_run import TrainedRun
from beamwise.experiments.saved_survival import SavedSurvival
from beamwise.report.objective_comparison import (
    ComparisonFigures,
    MethodFigures,
    MetricFigures,
    RunFigures,
    TriedPoint,
)
from beamwise.testing.tiny_run import tiny_data, tiny_paper_settings

KS = (10, 20)
METHODS = ("ce", "apao-pointwise", "apao-pairwise")


def ignore(_):
    """Hear nothing."""


@pytest.fixture(scope="session")
def setting(tmp_path_factory):
    """Office by name, a tiny shop by content."""
    data = tiny_data(tmp_path_factory.mktemp("paper") / "office")
    return Setting("office", "tiger", "small", data)


@pytest.fixture(scope="session")
def evidence_of(setting, tmp_path_factory):
    """Evidence of an experiment: some methods, two seeds; what is missing is trained."""
    store = tmp_path_factory.mktemp("store")

    def make(name, methods=METHODS, seeds=(0, 1)):
        config = changed_config(EXPERIMENTS[name].comparison(setting), None, tiny_paper_settings())
        if EXPERIMENTS[name].grids_on_all_seeds:
            config = config.model_copy(update={"seeds": seeds, "grid_seeds": len(seeds)})
        comparison = Comparison(config, store / setting.folder)
        run_comparison(comparison, methods, seeds, ComparisonWatcher(ignore, ignore))
        return Evidence(setting, comparison, methods, seeds, f"beamwise reproduce {name}")

    return make


def metric(mean, difference=None, p=1.0):
    interval = Interval(mean, mean - 0.01, mean + 0.01, 0.002, 2, True)
    if difference is None:
        return MetricFigures(interval, None, None)
    test = PairedTest(difference, difference - 0.005, difference + 0.005, p / 2, True, p / 4)
    return MetricFigures(interval, test, p)


def method(
    name, mean=0.1, difference=None, p=1.0, runs=None, tried=(), start_from=None, pruned=None
):
    """All metrics have the same mean, difference and p."""
    names = [f"{m}@{k}{end}" for m in ("recall", "ndcg") for k in KS for end in ("", "_full_sort")]
    metrics = {each: metric(mean, difference, p) for each in (*names, "survival@20")}
    runs = runs or (RunFigures(0, 4, 0.05, 40.0), RunFigures(1, 6, 0.07, 60.0))
    return MethodFigures(
        name=name,
        seeds=tuple(run.seed for run in runs),
        start_from=start_from,
        objective="ce",
        metrics=metrics,
        by_item={f"recall@{k}_by_item": mean for k in KS},
        survival=SurvivalCounts(30, 10, 5, 55, 1000, 646),
        pruned=pruned,
        runs=tuple(runs),
        tried=tuple(tried),
        chosen={},
    )


def compared(*methods, baseline="ce", leaves="semantic ID"):
    return ComparisonFigures(
        title="Methods",
        baseline=baseline,
        ks=KS,
        beam_width=20,
        users=100,
        selection="ndcg@10",
        resamples=100,
        methods=methods,
        missing={},
        leaves=leaves,
    )


def tried(setting, values):
    """Points of a grid with the validation values of their runs."""
    return tuple(
        TriedPoint(
            {setting: value},
            sum(validations) / len(validations),
            tuple(RunFigures(seed, 4, each, 40.0) for seed, each in enumerate(validations)),
        )
        for value, validations in values.items()
    )


def trained(method, limit=10, machines=("a machine",)):
    """Trainings of a method's runs, as their figures have them."""
    return {
        run.seed: TrainedRun(
            run.epochs, limit, run.epochs - 1, run.train_seconds, machines, method.start_from
        )
        for run in method.runs
    }


def evidence_from(setting, *methods, experiment="table1", reports=None, changed=(), **others):
    """Evidence whose figures are made by hand, of an experiment whose settings are real.

    `reports` are by method and seed, `trainings` those that `trained` makes where not given;
    `leaves` is what figures count by.
    """
    comparison = Comparison(EXPERIMENTS[experiment].comparison(setting), Path("nowhere"))
    evidence = Evidence(
        setting, comparison, tuple(each.name for each in methods), (0, 1), "", tuple(changed)
    )
    trainings = {each.name: trained(each) for each in methods} | others.get("trainings", {})
    leaves = others.get("leaves", "semantic ID")
    figures = compared(*methods, baseline=comparison.config.baseline, leaves=leaves)
    vars(evidence).update(figures=figures, reports=reports or {}, trained=trainings)
    return evidence


def survival(*widths, beam_width=10, prefix_recall=(0.5, 0.25), ndcg=None):
    """A report on beams, each (width, in the best B, of these pruned, of these by token).

    `ndcg` is NDCG@5 by width.
    """
    return SavedSurvival(
        settings=SurvivalConfig(ks=(5, 10), beam_width=beam_width),
        users=100,
        told_levels=({"name": "1"}, {"name": "items"}),
        widths=[
            {
                "width": width,
                "metrics": {"ndcg@5": ndcg[width]} if ndcg else {},
                "prefix_recall": prefix_recall,
                "retention": (0.75, 0.5),
                "within": within,
                "within_pruned": pruned,
                "within_pruned_by_token": by_token,
                "time": None,
            }
            for width, within, pruned, by_token in widths
        ],
        exact={"metrics": {"ndcg@5": 0.5}, "time": None},
    )
