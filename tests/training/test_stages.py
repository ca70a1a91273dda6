import json

import pytest
import torch

from beamwise.testing.tiny_run import tiny_data
from beamwise.training.checkpoint import BEST, LAST, read_tensors
from beamwise.training.config import RunConfig
from beamwise.training.run import open_run, train
from beamwise.training.stages import stages_of

TWO = (
    {"objective": {"name": "ce"}, "epochs": 1},
    {
        "objective": {"name": "s-dpo"},
        "epochs": 2,
        "learning_rate": 0.001,
        "negatives": {"count": 3},
    },
)


def epochs_of(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["stage"], line["epoch"]) for line in lines if line["kind"] == "epoch"]


def test_a_stage_has_its_own_settings_and_else_those_of_the_run(make_config):
    first, second = make_config(stages=TWO).of_stages()
    assert (first.objective.name, second.objective.name) == ("ce", "s-dpo")
    assert (first.training.epochs, second.training.epochs) == (1, 2)
    assert (first.training.learning_rate, second.training.learning_rate) == (0.01, 0.001)
    assert (first.negatives.count, second.negatives.count) == (6, 3)
    assert second.training.batch_size == first.training.batch_size == 64
    assert not first.stages


def test_a_run_without_stages_is_one(make_config):
    config = make_config()
    assert config.of_stages() == (config,)
    (stage,) = stages_of(config)
    assert stage.label == {}
    assert stage.checkpoints == config.out / "checkpoint"


def test_stages_have_checkpoints_of_their_own_and_the_last_has_the_runs(make_config):
    config = make_config(stages=TWO)
    first, second = stages_of(config)
    assert first.checkpoints == config.out / "checkpoint" / "stage-0"
    assert second.checkpoints == config.out / "checkpoint"
    assert (first.label, second.label) == ({"stage": 0}, {"stage": 1})


def test_the_second_stage_begins_with_the_best_weights_of_the_first(make_config):
    folder = train(make_config(stages=TWO))
    assert epochs_of(folder) == [(0, 0), (1, 0), (1, 1)]
    alone = train(make_config(out=folder.parent / "alone", training={"epochs": 1}))
    best, _ = read_tensors(folder / "checkpoint" / "stage-0" / BEST)
    expected, _ = read_tensors(alone / "checkpoint" / BEST)
    for name, value in expected.items():
        assert torch.equal(best[name], value)
    settings = TWO[1] | {"objective": {"name": "s-dpo", "reference": str(alone)}}
    again = train(
        make_config(
            out=folder.parent / "again",
            start_from=alone,
            objective=settings["objective"],
            negatives=settings["negatives"],
            training={"epochs": 2, "learning_rate": 0.001},
        )
    )
    ours, theirs = (read_tensors(each / "checkpoint" / LAST)[0] for each in (folder, again))
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


def test_a_run_in_stages_opens_with_its_last_stage(make_config):
    folder = train(make_config(stages=TWO))
    weights, _ = read_tensors(folder / "checkpoint" / BEST)
    for name, value in open_run(folder).backbone.state_dict().items():
        assert torch.equal(value, weights[name])


@pytest.mark.parametrize("cut", [1, 5])
def test_a_run_that_is_cut_short_in_any_stage_ends_the_same(make_config, tmp_path, cut):
    whole = train(make_config(stages=TWO, out=tmp_path / "whole"))

    class CutShortError(Exception):
        pass

    steps = []

    def progress(line):
        steps.append(line)
        if len(steps) == 4 + 3 * cut:
            raise CutShortError

    config = make_config(stages=TWO, out=tmp_path / "cut")
    with pytest.raises(CutShortError):
        train(config, progress)
    train(config)
    ours, theirs = (
        read_tensors(tmp_path / name / "checkpoint" / LAST)[0] for name in ("cut", "whole")
    )
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name
    assert epochs_of(config.out) == epochs_of(whole)


def test_a_finished_run_in_stages_is_left_alone(make_config):
    config = make_config(stages=TWO)
    train(config)
    before = (config.out / "metrics.jsonl").read_bytes()
    train(config, lambda line: pytest.fail("no step is left"))
    assert (config.out / "metrics.jsonl").read_bytes() == before


def test_what_a_later_stage_cannot_do_is_refused_before_the_first(make_config):
    many = {"objective": {"name": "s-dpo"}, "negatives": {"count": 100_000}}
    config = make_config(stages=(TWO[0], many))
    with pytest.raises(ValueError, match="count=100000 negatives must lie in"):
        train(config)
    missing = {"objective": {"name": "s-dpo", "reference": "nowhere"}}
    with pytest.raises(ValueError, match="nowhere is not a run folder"):
        train(make_config(stages=(TWO[0], missing)))
    assert not config.out.exists()


def test_an_objective_beside_stages_is_refused(make_config):
    with pytest.raises(ValueError, match=r"objective.name='msl' beside stages"):
        make_config(stages=TWO, objective={"name": "msl"})


def test_a_start_with_another_catalog_is_refused(make_config, tmp_path):
    other = train(make_config(out=tmp_path / "other", training={"epochs": 1}))
    config = make_config(out=tmp_path / "run", start_from=other)
    data = tiny_data(tmp_path / "data")
    changed = config.model_copy(update={"data": config.data.model_copy(update={"folder": data})})
    with pytest.raises(ValueError, match=r"was trained with catalog .* this run has"):
        train(changed)


def test_a_config_with_stages_is_read_back_equal(make_config):
    config = make_config(stages=TWO)
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
