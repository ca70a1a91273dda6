import pytest
import torch
from torch import nn

from beamwise.training.config import TrainingConfig
from beamwise.training.optimization import build_optimizer, learning_rate, set_learning_rate


def test_rate_rises_linearly_then_falls_by_a_cosine():
    config = TrainingConfig(learning_rate=1.0, warmup_fraction=0.2)
    rates = [learning_rate(step, 10, config) for step in range(10)]
    # two warm-up steps; then 0.5 (1 + cos(pi p)) at p = 0, 1/8, ..., 7/8
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[6] == pytest.approx(0.5)
    assert rates[4] == pytest.approx(0.5 * (1 + 2**-0.5))
    assert rates[9] == pytest.approx(0.5 * (1 - 0.9238795325))


def test_no_warmup_starts_at_the_full_rate():
    assert learning_rate(0, 5, TrainingConfig(learning_rate=0.3, warmup_fraction=0)) == 0.3


def test_only_matrices_are_decayed():
    model = nn.Sequential(nn.Linear(2, 3), nn.RMSNorm(3))
    optimizer = build_optimizer(model, TrainingConfig(weight_decay=0.5))
    decayed, kept = optimizer.param_groups
    assert [p is model[0].weight for p in decayed["params"]] == [True]
    assert decayed["weight_decay"] == 0.5
    assert kept["weight_decay"] == 0.0
    assert len(kept["params"]) == 2


def test_every_group_gets_the_rate():
    optimizer = build_optimizer(nn.Linear(2, 3), TrainingConfig())
    set_learning_rate(optimizer, 0.125)
    assert {group["lr"] for group in optimizer.param_groups} == {0.125}
    assert torch.is_tensor(optimizer.param_groups[0]["params"][0])
