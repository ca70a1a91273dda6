"""Comparisons of the paper's tables: methods, their settings, and every setting is accepted."""

import pytest

from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper_tables import (
    BACKBONES,
    DATASETS,
    PAPER_TABLES,
    SIZES,
    table1,
    table3,
)
from beamwise.report.published_results import published


def configs(comparison):
    """The last run of every method."""
    every = (run for name in comparison.methods for run in comparison.any_runs(name))
    return {run.method: run.config for run in every}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("table", PAPER_TABLES)
def test_every_setting_of_every_method_is_accepted(table, backbone, size, tmp_path):
    for dataset in DATASETS:
        comparison = Comparison(PAPER_TABLES[table](dataset, backbone, size), tmp_path)
        printed = published(table, backbone, dataset)
        assert set(printed) <= set(comparison.methods)
        assert comparison.config.seeds == (0, 1, 2, 3, 4)


def test_table_1_has_the_papers_settings(tmp_path):
    comparison = Comparison(table1("beauty", "llama"), tmp_path)
    assert list(comparison.methods) == [
        "ce", "msl", "ce-dpo", "ce-dmpo", "ce-s-dpo", "apao-pointwise", "apao-pairwise",
    ]  # fmt: skip
    config = comparison.run("apao-pointwise", "", 3).config
    assert (config.objective.beta, config.objective.eta) == (0.3, 1e-4)  # Table 5
    assert (config.backbone.name, config.training.batch_size, config.negatives.count) == (
        "llama", 1024, 100,
    )  # fmt: skip
    assert str(config.data.folder) == "data/beauty"
    points = comparison.methods["ce-s-dpo"].points
    assert list(points) == ["beta=0.5", "beta=1.0", "beta=2.0"]
    assert comparison.methods["ce-dpo"].start_from == "ce"
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    assert runs["ce-dpo"].negatives.count == 1
    assert runs["ce-s-dpo"].training.learning_rate == 5e-5
    assert runs["msl"].evaluation.mask == "before"


def test_a_small_table_is_one_that_a_cpu_finishes(tmp_path):
    comparison = Comparison(table1("office", "tiger", "small"), tmp_path)
    assert comparison.config.title == "Table 1: office, tiger, small models"
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    assert {config.negatives.count for config in runs.values()} == {1, 10}
    assert runs["ce"].training.epochs <= 20
    assert runs["ce-dmpo"].training.learning_rate == 3e-4
    assert runs["apao-pairwise"].objective.beta == 0.2


def test_table_3_has_one_stage_and_two(tmp_path):
    comparison = Comparison(table3("office", "tiger"), tmp_path)
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    assert runs["s-dpo-one-stage"].objective.reference == "none"
    assert runs["s-dpo-one-stage-initial"].objective.reference == "initial-weights"
    assert runs["s-dpo-one-stage"].objective.ce_weight == 1.0
    assert runs["apao-pairwise"].objective.ce_weight == 1.0
    assert runs["ce-apao-pairwise"].objective.ce_weight == 0.0
    second = [name for name, method in comparison.methods.items() if method.start_from == "ce"]
    assert second == ["ce-s-dpo", "ce-apao-pointwise", "ce-apao-pairwise"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("toys", "tiger"), "unknown dataset 'toys'; choose one of office, grocery, beauty, yelp"),
        (("office", "bert"), "unknown backbone 'bert'; choose one of tiger, llama"),
        (("office", "tiger", "huge"), "unknown size 'huge'; choose one of paper, small"),
    ],
)
def test_what_no_table_has_is_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        table1(*arguments)
