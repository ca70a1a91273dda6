import pytest
import torch

from beamwise.backbones import build_backbone
from beamwise.testing.processes import run_together
from beamwise.training.loop import Trainer
from beamwise.training.run_data import RunData
from beamwise.training.stages import stages_of

NO_DROPOUT = {"dropout": 0.0}


def make_trainer(config):
    data = RunData.load(config.data)
    torch.manual_seed(0)
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    return Trainer(config, data, backbone, stages_of(config)[0])


def gradients(config, num_targets=33):
    """Summed loss and gradients of one optimiser step over the first targets."""
    trainer = make_trainer(config)
    loss, _ = trainer.gradients.accumulate(torch.arange(num_targets), number=5)
    return float(loss), {n: p.grad.clone() for n, p in trainer.backbone.named_parameters()}


def assert_same(ours, theirs):
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    for name, gradient in theirs[1].items():
        torch.testing.assert_close(ours[1][name], gradient, msg=name)


@pytest.mark.parametrize(
    "objective", [{"name": "ce"}, {"name": "apao-pairwise", "prefix_weights": "uniform"}]
)
def test_chunks_change_memory_and_never_the_gradient(make_config, objective):
    whole = {"chunk_size": 64, "micro_batch_size": 64}
    small = {"chunk_size": 3, "micro_batch_size": 10}
    assert_same(
        gradients(make_config(objective=objective, backbone=NO_DROPOUT, training=small)),
        gradients(make_config(objective=objective, backbone=NO_DROPOUT, training=whole)),
    )


def test_loss_and_gradient_are_the_mean_over_all_targets_of_the_step(make_config):
    config = make_config(backbone=NO_DROPOUT, training={"chunk_size": 4})
    loss, found = gradients(config, num_targets=10)
    trainer = make_trainer(config)
    losses = []
    for row in range(10):
        for _, batch in trainer.source.batches(trainer.packs, torch.tensor([row]), 0):
            scores = trainer.gradients.scorer(batch, trainer.objective.needs)
            losses.append(trainer.objective(scores)[0])
    torch.cat(losses).mean().backward()
    assert loss == pytest.approx(float(torch.cat(losses).detach().sum()), rel=1e-5)
    for name, parameter in trainer.backbone.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, msg=name)


def test_bf16_training_stays_near_fp32(make_config):
    objective = {"name": "apao-pairwise"}
    losses = []
    for precision in ("fp32", "bf16"):
        config = make_config(
            objective=objective, backbone=NO_DROPOUT, training={"precision": precision}
        )
        loss, found = gradients(config)
        losses.append(loss)
        assert all(gradient.dtype == torch.float32 for gradient in found.values())
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)  # bf16 keeps 8 bits


def _gradients_as_arrays(config):
    """`gradients` in what passes between processes."""
    loss, found = gradients(config)
    return loss, {name: value.numpy() for name, value in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "objective"),
    [
        ("llama", {"name": "ce"}),
        ("tiger", {"name": "apao-pairwise", "prefix_weights": "released"}),
        ("llama", {"name": "bear", "form": "reweight"}),
    ],
    ids=["llama-ce", "tiger-pairwise", "llama-bear"],
)
def test_two_processes_have_the_gradients_of_one(make_config, backbone, objective):
    # chunks hold a whole micro-batch, so that adaptive weights see the same losses on both sides;
    # a micro-batch of a packed backbone must have a row for each process to be the same for both
    size = 12 if backbone == "tiger" else 80
    config = make_config(
        objective=objective,
        backbone={"name": backbone} | NO_DROPOUT,
        training={"micro_batch_size": size, "chunk_size": size},
    )
    together = run_together(_gradients_as_arrays, config)
    alone = gradients(config)
    for loss, found in together:
        assert_same((loss, {name: torch.from_numpy(g) for name, g in found.items()}), alone)
