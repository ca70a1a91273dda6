"""Which runs a comparison has, which are done, and which settings of a grid go on."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from beamwise import Catalog
from beamwise.config import ConfigError, changed_config, read_config
from beamwise.evaluation import EvaluationConfig
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.objective_comparison import Comparison
from beamwise.testing.tiny_run import tiny_data
from beamwise.training.provenance import Origin

POINTS = ["learning_rate=0.001", "learning_rate=0.02"]


@pytest.fixture
def empty(comparison_file, tmp_path):
    """The same comparison with nothing trained."""
    return Comparison(read_config(ComparisonConfig, comparison_file), tmp_path)


def test_runs_have_the_settings_of_their_method(empty, tmp_path):
    ce, apao = empty.run("ce", "", 3), empty.run("apao", "", 4)
    assert ce.folder == tmp_path / "ce" / "seed-3"
    assert (ce.config.objective.name, ce.config.training.seed, ce.config.start_from) == (
        "ce",
        3,
        None,
    )
    assert (apao.config.objective.name, apao.config.objective.beta) == ("apao-pointwise", 0.3)
    assert apao.config.training.seed == 4
    tried = empty.run("tuned", POINTS[1], 3)
    assert tried.folder == tmp_path / "tuned" / POINTS[1] / "seed-3"
    assert tried.config.training.learning_rate == 0.02
    assert tried.config.training.epochs == 2
    assert tried.label == "tuned with learning_rate=0.02, seed 3"


def test_until_a_grid_is_decided_nothing_that_rests_on_it_is_known(empty):
    assert empty.chosen("ce") == ""
    assert empty.chosen("tuned") is None
    assert empty.final_run("tuned", 3) is None
    assert empty.run("later", "", 3) is None
    assert [run.label for run in empty.needed("later", 4)] == [
        f"tuned with {point}, seed 3" for point in POINTS
    ]


def test_the_best_on_validation_goes_on(finished_comparison):
    best = {}
    for point in POINTS:
        folder = finished_comparison.out / "tuned" / point / "seed-3"
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        best[point] = max(line.get("validation_ndcg@10", 0) for line in lines)
        assert finished_comparison.validation("tuned", point) == best[point]
    chosen = finished_comparison.chosen("tuned")
    assert best[chosen] == max(best.values())
    assert finished_comparison.final_run("tuned", 4).point == chosen
    (loser,) = set(POINTS) - {chosen}
    assert not (finished_comparison.out / "tuned" / loser / "seed-4").exists()
    assert not (finished_comparison.out / "tuned" / loser / "seed-3" / "evaluation.json").exists()
    later = finished_comparison.run("later", "", 4)
    assert later.config.start_from == finished_comparison.out / "tuned" / chosen / "seed-4"


def test_of_equal_points_the_first_goes_on(own_comparison):
    for point in POINTS:
        path = own_comparison.out / "tuned" / point / "seed-3" / "metrics.jsonl"
        line = {"kind": "epoch", "epoch": 0, "validation_ndcg@10": 0.5}
        path.write_text(json.dumps(line) + "\n")
    assert own_comparison.chosen("tuned") == POINTS[0]


def test_a_moved_comparison_is_still_done(own_comparison):
    evaluation = own_comparison.config.evaluation
    for method in own_comparison.methods:
        for seed in (3, 4):
            run = own_comparison.final_run(method, seed)
            assert run.is_trained
            assert run.evaluation(evaluation).config == evaluation


def test_what_is_not_there_is_not_done(own_comparison):
    run = own_comparison.final_run("apao", 3)
    evaluation = own_comparison.config.evaluation
    assert run.evaluation(EvaluationConfig(ks=(5,), full_sort=True)) is None
    (run.folder / "evaluation.json").unlink()
    assert run.is_trained
    assert run.evaluation(evaluation) is None
    shutil.rmtree(run.folder / "checkpoint")
    assert not run.is_trained
    assert run.evaluation(evaluation) is None


def test_a_run_of_other_settings_is_refused(own_comparison):
    changed = changed_config(own_comparison.config, None, ["settings.training.epochs=3"])
    run = Comparison(changed, own_comparison.out).final_run("apao", 3)
    with pytest.raises(ValueError, match=r"other settings \(training\) than apao, seed 3 has now"):
        _ = run.is_trained
    other = changed_config(own_comparison.config, None, ["settings.data.max_history=3"])
    with pytest.raises(ValueError, match=r"other settings \(data\)"):
        _ = Comparison(other, own_comparison.out).final_run("apao", 3).is_trained


def test_a_run_that_began_elsewhere_is_refused(own_comparison, comparison_file):
    methods = [dict(method) for method in own_comparison.config.methods]
    methods[3]["start_from"] = "ce"
    config = own_comparison.config.model_copy(
        update={"methods": tuple(type(own_comparison.config.methods[0])(**m) for m in methods)}
    )
    with pytest.raises(ValueError, match=r"other settings \(start_from\)"):
        _ = Comparison(config, own_comparison.out).final_run("later", 3).is_trained


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("settings.training.epoch=3", "method ce: unknown setting 'training.epoch'; did you mean"),
        ("settings.early_stopping.metric=loss", "method tuned learning_rate=0.001 has a grid and"),
        ("base=nowhere.yaml", "no config file at nowhere.yaml"),
    ],
)
def test_settings_are_checked_before_any_training(comparison_file, tmp_path, override, complaint):
    config = read_config(ComparisonConfig, comparison_file, [override])
    with pytest.raises(ConfigError) as error:
        Comparison(config, tmp_path)
    assert complaint.replace("learning_rate=0.001 ", "") in str(error.value)


def test_a_method_is_tested_with_the_mask_that_it_decodes_with(comparison_file, tmp_path):
    overrides = ["methods=[{name: ce}, {name: legal, settings: {evaluation.mask: before}}]"]
    config = read_config(ComparisonConfig, comparison_file, overrides)
    comparison = Comparison(config, tmp_path / "out")
    masks = [
        comparison.run(name, "", 3).tested_with(config.evaluation).mask for name in ("ce", "legal")
    ]
    assert masks == ["after", "before"]


def test_a_result_of_earlier_weights_is_no_result(own_comparison):
    """As of a run that was tested by hand before it was trained to its end."""
    run = own_comparison.final_run("ce", 3)
    config = own_comparison.config.evaluation
    assert run.evaluation(config) is not None
    best = run.folder / "checkpoint" / "best.safetensors"
    shutil.copy(own_comparison.final_run("ce", 4).folder / "checkpoint" / best.name, best)
    assert run.evaluation(config) is None
    assert own_comparison.steps_left(run, True) == ("test",)
    assert own_comparison.steps_left(run, False) == ()


def test_a_run_whose_source_was_trained_again_is_refused(own_comparison):
    later = own_comparison.final_run("later", 3)
    assert later.is_trained
    source = later.config.start_from
    best = source / "checkpoint" / "best.safetensors"
    shutil.copy(own_comparison.final_run("ce", 4).folder / "checkpoint" / best.name, best)
    with pytest.raises(ValueError, match=r"began with other weights than .* has now: delete"):
        later.is_trained  # noqa: B018
    shutil.rmtree(source)  # what is not there says nothing
    assert later.is_trained


def test_runs_of_other_interactions_are_refused(own_comparison):
    run = own_comparison.run("ce", "", 3)
    origin = Origin.load(run.folder)
    assert run.is_trained
    replace(origin, data="others").save(run.folder)
    with pytest.raises(ValueError, match=r"was trained on data others, .* with other users, inter"):
        _ = run.is_trained
    (run.folder / "provenance.json").unlink()
    assert run.is_trained  # a run that does not say what it was trained on


def test_runs_of_other_data_are_refused(own_comparison, tmp_path):
    other = tiny_data(tmp_path / "data")
    Catalog.from_codes(torch.arange(200)[:, None], 200).save(other / "catalog")
    shared = {**own_comparison.config.settings, "data": {"folder": str(other)}}
    changed = own_comparison.config.model_copy(update={"settings": shared})
    with pytest.raises(ValueError, match=r"was trained with catalog .*: give the data"):
        _ = Comparison(changed, own_comparison.out).run("ce", "", 3).is_trained
    missing = {**shared, "data": {"folder": str(tmp_path / "nowhere")}}
    changed = own_comparison.config.model_copy(update={"settings": missing})
    with pytest.raises(ValueError, match="nowhere has no readable catalog"):
        _ = Comparison(changed, own_comparison.out).run("ce", "", 3).is_trained
