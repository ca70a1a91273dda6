import math

import pytest
import torch

from beamwise.backbones import build_backbone
from beamwise.objectives.base import Needs
from beamwise.scoring import Scorer
from beamwise.testing.tiny_run import tiny_data
from beamwise.training.batch_source import BatchSource
from beamwise.training.metrics_log import read_metrics
from beamwise.training.reference import (
    build_reference,
    check_reference,
    scored,
    start_from,
    trained_backbone,
)
from beamwise.training.run import open_run, train
from beamwise.training.run_data import RunData

NEEDS = Needs(negatives=True, reference="initial-weights", temperature=2.0)


@pytest.fixture
def run(make_config):
    config = make_config(training={"epochs": 1})
    return train(config), RunData.load(config.data), config


def test_initial_weights_stay_while_the_model_moves(make_config):
    config = make_config()
    data = RunData.load(config.data)
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    reference = build_reference("initial-weights", backbone, data.catalog)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with torch.no_grad():
        backbone.embedding.weight.zero_()
    for name, value in reference.backbone.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(parameter.requires_grad for parameter in reference.parameters())
    assert not any(module.training for module in reference.modules())


def test_no_reference_is_none(make_config):
    config = make_config()
    data = RunData.load(config.data)
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    assert build_reference(None, backbone, data.catalog) is None
    check_reference(None, backbone, data.catalog)


def test_another_runs_best_weights_are_the_reference(run):
    folder, data, _ = run
    backbone = open_run(folder).backbone
    reference = build_reference(folder, torch.nn.Linear(1, 1), data.catalog)
    for name, value in backbone.state_dict().items():
        assert torch.equal(reference.backbone.state_dict()[name], value)


def test_training_can_start_from_another_run(run):
    folder, data, config = run
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    start_from(folder, backbone, data.catalog)
    for name, value in open_run(folder).backbone.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value)


def test_both_models_score_the_same_candidates(run):
    folder, data, config = run
    torch.manual_seed(1)
    backbone = build_backbone(config.backbone, data.catalog.vocab_size).eval()
    source = BatchSource(backbone, data, config, NEEDS)
    _, batch = next(source.batches(source.train, torch.arange(8), 0))
    reference = build_reference(folder, backbone, data.catalog)
    scores = scored(Scorer(backbone), batch, NEEDS, reference)
    expected = Scorer(trained_backbone(folder, data.catalog).eval())(batch, NEEDS)
    torch.testing.assert_close(scores.reference_log_probs, expected.log_probs.detach())
    assert not scores.reference_log_probs.requires_grad
    assert scores.log_probs.requires_grad
    assert scored(Scorer(backbone), batch, NEEDS, None).reference_log_probs is None


def test_a_folder_that_is_no_fitting_run_is_refused(run, tmp_path, make_config):
    folder, data, config = run
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    with pytest.raises(ValueError, match="nowhere is not a run folder"):
        check_reference(tmp_path / "nowhere", backbone, data.catalog)
    other = RunData.load(
        make_config().data.model_copy(update={"folder": tiny_data(tmp_path / "data")})
    )
    with pytest.raises(ValueError, match=r"was trained with catalog .* this run has"):
        check_reference(folder, backbone, other.catalog)
    bigger = make_config(backbone={"dim": 16})
    with pytest.raises(ValueError, match="does not fit this model"):
        start_from(folder, build_backbone(bigger.backbone, data.catalog.vocab_size), data.catalog)


def test_a_reference_that_reads_histories_otherwise_is_refused(run, make_config):
    folder, data, _ = run
    llama = make_config(backbone={"name": "llama"}).backbone
    backbone = build_backbone(llama, data.catalog.vocab_size)
    message = r"was trained with backbone\.name=tiger, this run has llama, which reads histories"
    with pytest.raises(ValueError, match=message):
        check_reference(folder, backbone, data.catalog)
    with pytest.raises(ValueError, match=message):
        build_reference(folder, backbone, data.catalog)


def test_a_policy_that_equals_its_reference_has_no_margin_whatever_the_dropout(make_config):
    config = make_config(
        objective={"name": "s-dpo"}, backbone={"dropout": 0.5}, training={"learning_rate": 1e-12}
    )
    folder = train(config)
    epochs = read_metrics(folder / "metrics.jsonl", "epoch")
    # the target among six negatives that are all worth the same: log(1 + 6)
    assert [line["train_loss"] for line in epochs] == pytest.approx([math.log(7)] * 2, abs=1e-4)


def test_a_run_that_is_not_finished_is_no_reference_and_no_start(make_config, tmp_path):
    def progress(line):
        if line["step"] == 4:
            raise KeyboardInterrupt

    config = make_config(out=tmp_path / "part")
    with pytest.raises(KeyboardInterrupt):
        train(config, progress)
    data = RunData.load(config.data)
    with pytest.raises(ValueError, match="part is not trained to its end"):
        check_reference(
            config.out, build_backbone(config.backbone, data.catalog.vocab_size), data.catalog
        )
    with pytest.raises(ValueError, match="part is not trained to its end"):
        train(make_config(out=tmp_path / "next", start_from=config.out))
