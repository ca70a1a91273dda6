"""Settings of a comparison, and how a method's changes are laid over the shared ones."""

from pathlib import Path

import pytest

from beamwise.config import ConfigError, parse_config, read_config
from beamwise.experiments.comparison_config import (
    ComparisonConfig,
    MethodConfig,
    select,
    with_changes,
)
from beamwise.experiments.objective_comparison import Comparison

ROOT = Path(__file__).parents[2]


def config(**changes):
    settings = {"base": "base.yaml", "methods": [{"name": "ce"}, {"name": "b"}], "seeds": [0, 1]}
    return parse_config(ComparisonConfig, settings | changes, "comparison")


def test_points_are_all_combinations_in_order():
    method = MethodConfig(
        name="tuned", grid={"training.learning_rate": (0.1, 0.003), "backbone.dropout": (0.0, 0.2)}
    )
    assert method.points == {
        "learning_rate=0.1,dropout=0.0": {"training.learning_rate": 0.1, "backbone.dropout": 0.0},
        "learning_rate=0.1,dropout=0.2": {"training.learning_rate": 0.1, "backbone.dropout": 0.2},
        "learning_rate=0.003,dropout=0.0": {
            "training.learning_rate": 0.003,
            "backbone.dropout": 0.0,
        },
        "learning_rate=0.003,dropout=0.2": {
            "training.learning_rate": 0.003,
            "backbone.dropout": 0.2,
        },
    }
    assert MethodConfig(name="plain").points == {"": {}}


def test_names_of_points_are_names_of_folders():
    grid = {"a.weights": ([1, 2], None), "b.weights": ("x/../y",)}
    assert list(MethodConfig(name="m", grid=grid).points) == [
        "a.weights=_1,_2_,b.weights=x_.._y",
        "a.weights=null,b.weights=x_.._y",
    ]


def test_changes_are_nested_or_by_path():
    shared = {"training": {"epochs": 3, "seed": 1}, "objective": {"name": "ce", "temperature": 2}}
    by_path = with_changes(shared, {"training.epochs": 5, "objective.temperature": 3})
    nested = with_changes(shared, {"training": {"epochs": 5}, "objective": {"temperature": 3}})
    assert by_path == nested
    assert nested["training"] == {"epochs": 5, "seed": 1}
    assert nested["objective"] == {"name": "ce", "temperature": 3}
    assert shared["training"]["epochs"] == 3


def test_another_objective_begins_with_its_own_defaults_whatever_the_order():
    shared = {"objective": {"name": "ce", "temperature": 2}}
    changes = {"objective.beta": 0.1, "objective.name": "apao-pointwise"}
    expected = {"objective": {"name": "apao-pointwise", "beta": 0.1}}
    assert with_changes(shared, changes) == expected
    assert with_changes(shared, {"objective": {"beta": 0.1, "name": "apao-pointwise"}}) == expected


def test_stages_take_the_place_of_an_objective():
    stages = [{"objective": {"name": "ce"}}]
    assert with_changes({"objective": {"name": "ce"}}, {"stages": stages}) == {"stages": stages}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"methods": [{"name": "ce"}, {"name": "ce"}]}, "method ce is given twice"),
        ({"preset": "small"}, "give base, a YAML file, or preset, a name: got both"),
        ({"base": None}, "give base, a YAML file, or preset, a name: got neither"),
        ({"seeds": [1, 1]}, "seed 1 is given twice"),
        ({"seeds": []}, "seeds"),
        ({"baseline": "sft"}, "baseline: no method 'sft' here; choose one of ce, b"),
        ({"methods": [{"name": "ce", "start_from": "b"}, {"name": "b"}]}, "start_from of ce"),
        (
            {"methods": [{"name": "ce"}, {"name": "b", "start_from": "a"}]},
            "no method 'a' here; choose one of ce",
        ),
        ({"grid_seeds": 3}, "grid_seeds=3 is more than there are seeds, 2"),
        ({"methods": [{"name": "ce", "grid": {"a": []}}]}, "ce tries no value of a"),
        ({"methods": [{"name": "ce", "grid": {"a": [1, 1]}}]}, "grid a=1 is given twice"),
        ({"methods": [{"name": "ce", "settings": {"training": {"seed": 1}}}]}, "training.seed"),
        ({"methods": [{"name": "ce", "grid": {"out": ["x"]}}]}, "ce sets out, which the"),
        ({"methods": [{"name": "../ce"}]}, "name"),
        ({"methods": [{"name": "ce", "gird": {}}]}, "did you mean 'grid'?"),
        ({"evaluation": {"full_sort": False}}, "full_sort must be true"),
        ({"survival_of": ["ec"]}, "survival_of: no method 'ec' here; choose one of ce, b"),
        ({"survival": {"mask": "before"}}, "survival.mask=before is a method's own setting"),
    ],
)
def test_what_does_not_fit_is_one_line(changes, complaint):
    with pytest.raises(ConfigError) as error:
        config(**changes)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_some_methods_and_seeds_are_selected_in_the_order_of_the_comparison():
    assert select(config(), (), ()) == (("ce", "b"), (0, 1))
    assert select(config(), ("b", "ce"), (1,)) == (("ce", "b"), (1,))
    assert select(config(seeds=[4, 2, 9]), (), 2) == (("ce", "b"), (4, 2))
    for count in (0, 3):
        with pytest.raises(ValueError, match=f"{count} seeds are asked for, the comparison has 2"):
            select(config(), (), count)
    with pytest.raises(ValueError, match="--methods: no method 'c' here; choose one of ce, b"):
        select(config(), ("c",), ())
    with pytest.raises(ValueError, match="seed 7 is not in the comparison: its seeds are 0, 1"):
        select(config(), (), (7,))


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "comparisons").glob("*.yaml")))
def test_the_comparisons_that_come_with_the_project_are_valid(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    comparison = Comparison(read_config(ComparisonConfig, path), tmp_path)
    assert len(comparison.config.seeds) >= 5
    assert comparison.config.evaluation.full_sort


def test_what_is_not_set_of_the_test_keeps_its_default():
    found = config(evaluation={"beam_width": 30}).evaluation
    assert (found.beam_width, found.ks, found.full_sort) == (30, (10, 20), True)


def test_the_mask_is_a_methods_own():
    with pytest.raises(ValueError, match=r"evaluation.mask=before is a method's own setting"):
        config(evaluation={"mask": "before"})
