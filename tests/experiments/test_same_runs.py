"""A run that a folder has under another name is taken, not trained again."""

import shutil
from contextlib import suppress

import pytest

from beamwise.config import read_config
from beamwise.experiments.comparison_claim import claimed
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.comparison_plan import plan
from beamwise.experiments.comparison_runner import ComparisonWatcher, run_comparison
from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.same_runs import SameRuns
from beamwise.training.checkpoint import CHECKPOINT_FOLDER, weights_version


@pytest.fixture
def more(own_comparison) -> Comparison:
    """The same store, asked for methods of other names too."""
    methods = [method.model_dump(mode="json") for method in own_comparison.config.methods]
    ce, _, apao, later = methods
    again = [
        {**ce, "name": "ce-again"},
        {**apao, "name": "apao-again"},
        {**later, "name": "later-again"},
        {**apao, "name": "other", "settings": {**apao["settings"], "training.epochs": 1}},
    ]
    settings = own_comparison.config.model_dump(mode="json") | {"methods": [*methods, *again]}
    return Comparison(ComparisonConfig.model_validate(settings), own_comparison.out)


def weights(comparison, method, seed):
    return weights_version(comparison.final_run(method, seed).folder / CHECKPOINT_FOLDER)


def test_it_is_found_by_its_settings(more):
    same = SameRuns(more.out)
    for name, original in (("ce-again", "ce"), ("apao-again", "apao"), ("later-again", "later")):
        assert same.of(more.run(name, "", 4)) == more.final_run(original, 4).folder
    assert same.of(more.run("other", "", 4)) is None
    assert same.of(more.run("ce", "", 4)) is None


def test_it_is_copied_with_its_results(more):
    names = ["ce-again", "apao-again", "later-again"]
    assert {work.state for work in plan(more, names, [3]).works} == {"done", "to be copied"}
    told = []
    run_comparison(
        more, names, [3], ComparisonWatcher(told.append, lambda _: pytest.fail("trains"))
    )
    assert told == [
        "ce-again, seed 3 is the same run as ce/seed-3, which is there",
        "apao-again, seed 3 is the same run as apao/seed-3, which is there",
        "later-again, seed 3 is the same run as later/seed-3, which is there",
    ]
    for name in names:
        assert weights(more, name, 3) == weights(more, name.removesuffix("-again"), 3)
        assert more.steps_left(more.final_run(name, 3), tested=True) == ()


def test_one_that_is_begun_goes_on(more, tmp_path):
    fresh, steps = Comparison(more.config, tmp_path / "fresh"), []

    def train(step):
        steps.append(step)
        if len(steps) == 3:  # a checkpoint every two
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_comparison(fresh, ["ce-again"], [3], ComparisonWatcher(lambda _: None, train))
    shutil.copytree(more.final_run("ce", 3).folder, fresh.out / "ce/seed-3")
    assert [work.state for work in plan(fresh, ["ce-again"], [3]).works] == ["begun"]


def test_what_lies_in_its_place_is_not_removed(more):
    run = more.run("ce-again", "", 3)
    run.folder.mkdir(parents=True)
    (run.folder / "notes").write_text("mine")
    assert SameRuns(more.out).of(run) is None
    with suppress(ValueError):  # training may refuse the folder
        run_comparison(more, ["ce-again"], [3], ComparisonWatcher(lambda _: None, lambda _: None))
    assert (run.folder / "notes").read_text() == "mine"


def test_one_that_another_process_is_at_is_waited_for(more):
    told = []

    def hear(text):
        told.append(text)
        if text.startswith("waiting"):
            raise KeyboardInterrupt

    watcher = ComparisonWatcher(hear, lambda _: pytest.fail("trains"))
    with claimed(more.final_run("ce", 3).folder), pytest.raises(KeyboardInterrupt):
        run_comparison(more, ["ce-again"], [3], watcher)
    assert told == ["waiting for ce-again, seed 3, which another process is at"]
    assert not more.run("ce-again", "", 3).folder.exists()


def test_one_of_other_data_is_named(more, comparison_file):
    catalog = more.final_run("ce", 3).folder / "catalog" / "catalog.json"
    catalog.write_text(catalog.read_text().replace('"version": "', '"version": "x'))
    with pytest.raises(ValueError, match="was trained with catalog x"):
        SameRuns(more.out).of(more.run("ce-again", "", 3))
    assert read_config(ComparisonConfig, comparison_file).methods[0].name == "ce"


def test_an_empty_folder_has_none(more, tmp_path):
    assert SameRuns(tmp_path / "nothing").of(more.run("ce-again", "", 3)) is None
