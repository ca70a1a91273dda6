"""Figures are those of the files of the runs, computed anew by other means."""

import json
import statistics
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from beamwise.config import write_config
from beamwise.evaluation.significance import paired_test
from beamwise.experiments.comparison_figures import comparison_figures, metric_columns
from beamwise.report.objective_comparison import Maker
from beamwise.tokenization import TitlesConfig
from beamwise.training.provenance import Origin, provenance

METHODS, SEEDS = ["ce", "tuned", "apao", "later"], [3, 4]


@pytest.fixture(scope="module")
def figures(finished_comparison):
    return comparison_figures(finished_comparison, METHODS, SEEDS)


def folders(comparison, method):
    """Folders of the tested runs, found by what is in them."""
    found = sorted(path.parent for path in (comparison.out / method).rglob("evaluation.json"))
    assert [folder.name for folder in found] == ["seed-3", "seed-4"]
    return found


def column(comparison, method, name):
    """A list a seed, straight from the Parquet files."""
    paths = [folder / "per_user.parquet" for folder in folders(comparison, method)]
    return [pl.read_parquet(path).sort("user_id")[name].to_list() for path in paths]


def test_what_made_the_runs_is_counted(own_comparison, figures):
    (maker,) = figures.made_by
    here = provenance()
    assert (maker.runs, maker.machine) == (8, here.processor)
    assert maker.code in (f"commit {here.commit}", f"version {here.version}, source {here.source}")
    runs = [own_comparison.final_run("ce", seed).folder for seed in SEEDS]
    origin = Origin.load(runs[0])
    gpu = replace(here, device="A GPU", commit="0123456789ab")
    origin.continued(gpu).save(runs[0])
    (runs[1] / "provenance.json").unlink()
    makers = comparison_figures(own_comparison, METHODS, SEEDS).made_by
    assert makers[0] == replace(maker, runs=7)
    assert set(makers[1:]) == {Maker(1, "commit 0123456789ab", "A GPU"), Maker(1, None, "")}
    dirty = replace(here, commit="0123456789ab-dirty")
    Origin(origin.data, (dirty,)).save(runs[1])
    makers = comparison_figures(own_comparison, ["ce"], SEEDS).made_by
    said = f"version {here.version}, source {here.source}"
    assert Maker(1, said, here.processor) in makers or maker.code == said


def test_columns_are_recall_and_ndcg_under_both_searches():
    assert metric_columns((10, 20), "_by_item") == [
        "recall@10_by_item",
        "recall@20_by_item",
        "ndcg@10_by_item",
        "ndcg@20_by_item",
        "recall@10_by_item_full_sort",
        "recall@20_by_item_full_sort",
        "ndcg@10_by_item_full_sort",
        "ndcg@20_by_item_full_sort",
    ]


@pytest.mark.parametrize("name", ["recall@10", "ndcg@5", "recall@5_full_sort"])
def test_means_and_tests_are_those_of_the_files(finished_comparison, figures, name):
    baseline = column(finished_comparison, "ce", name)
    for method in figures.methods:
        values = column(finished_comparison, method.name, name)
        means = [statistics.fmean(of_seed) for of_seed in values]
        found = method.metrics[name]
        assert found.interval.mean == pytest.approx(statistics.fmean(means))
        assert found.interval.std == pytest.approx(statistics.stdev(means))
        assert found.interval.low <= found.interval.mean <= found.interval.high
        if method.name == "ce":
            assert found.test is None
            continue
        difference = np.mean(values, axis=0) - np.mean(baseline, axis=0)
        assert found.test.difference == pytest.approx(difference.mean())
        if difference.any():
            expected = stats.ttest_rel(np.mean(values, axis=0), np.mean(baseline, axis=0)).pvalue
            assert found.test.t_test_p == pytest.approx(expected)
        pair = np.array(values), np.array(baseline)
        alone = paired_test(*pair, matched=True, resamples=500)
        assert found.test.low == pytest.approx(alone.low, abs=0.02)  # in another order of users
        assert found.test.covers_seeds


def test_holms_correction_is_over_the_methods_of_a_metric(figures):
    for name in figures.methods[0].metrics:
        others = sorted(figures.methods[1:], key=lambda method: method.metrics[name].test.p)
        highest = 0.0
        for factor, method in zip((3, 2, 1), others, strict=True):
            highest = max(highest, min(1.0, factor * method.metrics[name].test.p))
            assert method.metrics[name].holm_p == pytest.approx(highest)


def test_survival_is_beam_minus_exact(finished_comparison, figures):
    for method in figures.methods:
        beam, exact = (
            np.array(column(finished_comparison, method.name, f"recall@10{end}"))
            for end in ("", "_full_sort")
        )
        assert method.metrics["survival@10"].interval.mean == pytest.approx((beam - exact).mean())
        assert method.survival.pruned == ((exact == 1) & (beam == 0)).sum()
        assert method.survival.promoted == ((exact == 0) & (beam == 1)).sum()
        assert method.survival.users == 80
        saved = [
            json.loads((folder / "evaluation.json").read_text())["survival"]["counts"]
            for folder in folders(finished_comparison, method.name)
        ]
        assert method.survival.retained_leaves == sum(each["retained_leaves"] for each in saved)


def test_counting_by_item_and_training_are_those_of_the_files(finished_comparison, figures):
    for method in figures.methods:
        values = column(finished_comparison, method.name, "ndcg@5_by_item_full_sort")
        assert method.by_item["ndcg@5_by_item_full_sort"] == pytest.approx(np.mean(values))
        for run, folder in zip(method.runs, folders(finished_comparison, method.name), strict=True):
            lines = (folder / "metrics.jsonl").read_text().splitlines()
            epochs = [each for each in map(json.loads, lines) if each["kind"] == "epoch"]
            assert run.epochs == len(epochs) == (1 if method.name == "later" else 2)
            assert run.best_validation == max(each["validation_ndcg@10"] for each in epochs)
            assert run.train_seconds == pytest.approx(sum(e["train_seconds"] for e in epochs))


def test_what_was_tried_and_chosen(finished_comparison, figures):
    ce, tuned, apao, later = figures.methods
    assert ce.tried == apao.tried == later.tried == ()
    assert [point.settings for point in tuned.tried] == [
        {"training.learning_rate": 0.001},
        {"training.learning_rate": 0.02},
    ]
    best = max(tuned.tried, key=lambda point: point.validation)
    assert tuned.chosen == best.settings
    assert [run.seed for run in best.runs] == [3]
    assert (later.start_from, apao.objective, later.objective) == ("tuned", "apao-pointwise", "ce")
    assert figures.missing == {}
    assert (figures.users, figures.baseline, figures.selection) == (40, "ce", "ndcg@10")


def test_what_metrics_count_by_is_told_by_the_tokenizers(own_comparison, figures):
    assert figures.leaves == "semantic ID"
    for seed in SEEDS:
        tokenizer = own_comparison.final_run("apao", seed).folder / "tokenizer"
        tokenizer.mkdir(exist_ok=True)
        write_config(TitlesConfig(vocab_size=300), tokenizer / "config.yaml")
    both = comparison_figures(own_comparison, ["ce", "apao"], SEEDS)
    assert both.leaves == "semantic ID or title"
    assert comparison_figures(own_comparison, ["ce"], SEEDS).leaves == "semantic ID"


def test_some_methods_and_what_is_missing(own_comparison):
    (own_comparison.final_run("apao", 4).folder / "evaluation.json").unlink()
    (own_comparison.final_run("later", 3).folder / "evaluation.json").unlink()
    (own_comparison.final_run("later", 4).folder / "evaluation.json").unlink()
    found = comparison_figures(own_comparison, ["apao", "later"], SEEDS)
    assert [method.name for method in found.methods] == ["ce", "apao"]
    assert found.methods[1].seeds == (3,)
    assert not found.methods[1].metrics["recall@10"].test.covers_seeds
    assert found.missing == {"apao": "no test of seed 4", "later": "no test of seed 3, 4"}


def test_an_undecided_grid_is_said(own_comparison):
    point = next(iter(own_comparison.methods["tuned"].points))
    (own_comparison.out / "tuned" / point / "seed-3" / "config.yaml").unlink()
    found = comparison_figures(own_comparison, METHODS, SEEDS)
    assert found.missing["tuned"] == "settings are still being tried"
    assert found.missing["later"] == "no test of seed 3, 4"


def test_without_the_baseline_there_is_nothing_to_say(own_comparison):
    for seed in SEEDS:
        (own_comparison.final_run("ce", seed).folder / "evaluation.json").unlink()
    with pytest.raises(ValueError, match=r"no tested run of ce in .*without --report first"):
        comparison_figures(own_comparison, METHODS, SEEDS)


def test_other_users_are_refused(own_comparison):
    path = own_comparison.final_run("apao", 4).folder / "per_user.parquet"
    table = pl.read_parquet(path)
    table.with_columns(pl.col("user_id").reverse()).write_parquet(path)
    with pytest.raises(ValueError, match="a run of apao was tested on other users or targets"):
        comparison_figures(own_comparison, METHODS, SEEDS)
