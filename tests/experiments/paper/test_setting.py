"""What the paper's experiments share: folders, titles, data, sizes and methods."""

from itertools import product
from pathlib import Path

import pytest

from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper.experiments import EXPERIMENTS
from beamwise.experiments.paper.setting import CE, SIZES, Setting


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_setting_of_every_method_is_accepted(name, tmp_path):
    kind = EXPERIMENTS[name].setting
    for dataset, backbone, size in product(kind.datasets, kind.backbones, kind.sizes):
        setting = kind(dataset, backbone, size)
        comparison = Comparison(EXPERIMENTS[name].comparison(setting), tmp_path)
        assert comparison.config.baseline == comparison.config.methods[0].name
        assert comparison.config.seeds == (0, 1, 2, 3, 4)
        assert comparison.config.title.endswith(setting.title)


def test_methods_of_one_name_are_the_same_in_every_experiment(tmp_path):
    """They share their runs in a store."""
    setting = Setting("beauty", "llama", "small")
    found = {}
    for experiment in EXPERIMENTS.values():
        if experiment.setting is not Setting:
            continue
        comparison = Comparison(experiment.comparison(setting), tmp_path)
        for name in comparison.methods:
            for run in comparison.any_runs(name):
                settings = found.setdefault(run.folder, run.config)
                assert settings == run.config
    assert len(found) > 5 * 30


def test_a_setting_has_a_folder_a_title_and_data():
    small = Setting("office", "tiger", "small")
    assert (small.folder, small.title) == ("office-tiger-small", "Office, TIGER, small models")
    whole = Setting("yelp", "llama", data=Path("elsewhere/y"))
    assert (whole.folder, whole.title) == ("yelp-llama", "Yelp, Llama")
    assert (small.data_folder, whole.data_folder) == (Path("data/office"), Path("elsewhere/y"))
    config = whole.comparison("Table 9", CE, survival_of=("ce",))
    assert config.settings == {"data.folder": "elsewhere/y"}
    assert (config.survival.max_users, config.survival.full_sort_users) == (None, 32)
    assert small.comparison("Table 9", CE).survival.max_users == 1000


def test_a_small_size_has_few_negatives_and_the_papers_learning_rates_scaled(tmp_path):
    rates = {}
    for size in SIZES:
        setting = Setting("office", "tiger", size)
        config = setting.comparison("T", CE, setting.preference("dpo", {"negatives.count": 1}))
        runs = {
            run.method: run.config
            for name in ("ce", "ce-dpo")
            for run in Comparison(config, tmp_path).any_runs(name)
        }
        rates[size] = runs["ce-dpo"].training.learning_rate
        assert runs["ce"].negatives.count == {"paper": 100, "small": 10}[size]
        assert runs["ce-dpo"].negatives.count == 1
    assert rates == {"paper": 5e-5, "small": 3e-4}


def test_alignment_has_the_papers_table_5_and_takes_changes(tmp_path):
    setting = Setting("beauty", "llama")
    methods = (
        CE,
        setting.alignment("pointwise"),
        setting.alignment("pairwise", "wide", {"beam_width": 20}),
        setting.alignment_alone("pairwise"),
    )
    comparison = Comparison(setting.comparison("T", *methods), tmp_path)
    objectives = {
        name: next(iter(comparison.any_runs(name))).config.objective for name in comparison.methods
    }
    assert (objectives["apao-pointwise"].beta, objectives["apao-pointwise"].eta) == (0.3, 1e-4)
    assert (objectives["wide"].beam_width, objectives["wide"].beta) == (20, 0.4)
    assert objectives["ce-apao-pairwise"].ce_weight == 0.0
    assert comparison.methods["ce-apao-pairwise"].start_from == "ce"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("toys", "tiger"), "unknown dataset 'toys'; choose one of office, grocery, beauty, yelp"),
        (("office", "bert"), "unknown backbone 'bert'; choose one of tiger, llama"),
        (("office", "tiger", "huge"), "unknown size 'huge'; choose one of paper, small"),
    ],
)
def test_what_no_paper_has_is_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        Setting(*arguments)
