import pytest
import torch

from beamwise.backbones import build_backbone
from beamwise.training.loop import Trainer
from beamwise.training.run_data import RunData
from beamwise.training.stages import stages_of


def make_trainer(config):
    data = RunData.load(config.data)
    torch.manual_seed(0)
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    return Trainer(config, data, backbone, stages_of(config)[0])


def test_gradient_norm_is_clipped_before_the_step(make_config):
    config = make_config(training={"clip_norm": 1e-3, "learning_rate": 1e-9})
    trainer = make_trainer(config)
    kept = {}
    step = trainer.optimizer.step

    def spy(*args):
        norms = [p.grad.norm() for p in trainer.backbone.parameters()]
        kept["norm"] = float(torch.stack(norms).norm())
        return step(*args)

    trainer.optimizer.step = spy
    line = trainer.step([torch.arange(20)], 0)
    assert line["gradient_norm"] > 1e-2
    assert kept["norm"] == pytest.approx(1e-3, rel=1e-2)


def test_early_stopping_ends_a_run_that_gets_worse(make_config):
    stopping = {"metric": "recall@5", "patience": 1}
    config = make_config(training={"epochs": 6, "learning_rate": 1e-9}, early_stopping=stopping)
    trainer = make_trainer(config)
    trainer.run(lambda line: None)
    # weights that do not move give the same recall: the first is the best, the second stops
    assert trainer.position.epoch == 2
    assert trainer.stopping.best_epoch == 0
