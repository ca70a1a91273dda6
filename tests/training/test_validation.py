import pytest
import torch

from beamwise.backbones import build_backbone
from beamwise.objectives import OBJECTIVES
from beamwise.scoring import Scorer
from beamwise.training.batch_source import BatchSource
from beamwise.training.run_data import RunData
from beamwise.training.validation import validate, validation_loss


def parts_of(config):
    """The config, its data, a fresh backbone and objective, and their batches."""
    data = RunData.load(config.data)
    torch.manual_seed(0)
    backbone = build_backbone(config.backbone, data.catalog.vocab_size)
    objective = OBJECTIVES[config.objective.name](config.objective)
    source = BatchSource(backbone, data, config, objective.needs)
    return config, data, backbone, objective, source


@pytest.fixture
def parts(make_config):
    return parts_of(make_config(objective={"name": "apao-pairwise", "eta": 0.5}))


def test_loss_is_the_mean_over_the_whole_set_and_changes_nothing(parts):
    _, data, backbone, objective, source = parts
    state = {name: value.clone() for name, value in objective.state_dict().items()}
    found = validation_loss(backbone, objective, source)
    losses = []
    for step in torch.arange(len(data.validation)).split(source.config.training.batch_size):
        for _, batch in source.batches(source.validation, step, -1):
            losses.append(objective(Scorer(backbone)(batch, objective.needs))[0])
    assert found == pytest.approx(float(torch.cat(losses).detach().mean()), rel=1e-5)
    assert len(torch.cat(losses)) == len(data.validation)
    for name, value in objective.state_dict().items():
        assert torch.equal(value, state[name])


def test_a_metric_comes_from_beam_search(parts):
    config, data, backbone, objective, source = parts
    settings = config.early_stopping.model_copy(update={"metric": "ndcg@10"})
    source.config = config.model_copy(update={"early_stopping": settings})
    results = validate(backbone, objective, source)
    assert results["users"] == len(data.validation)
    assert 0 <= results["ndcg@10"] <= results["recall@10"] <= 1
    assert "loss" not in results


def test_a_loss_metric_skips_the_search(parts):
    _, _, backbone, objective, source = parts
    assert list(validate(backbone, objective, source)) == ["loss"]


@pytest.mark.parametrize("form", ["hard-max", "released", "eq17"])
def test_the_loss_does_not_depend_on_how_the_set_is_cut(make_config, form):
    losses = []
    for size in (4, 64):
        sizes = {"chunk_size": size, "micro_batch_size": size}
        objective = {"name": "apao-pointwise", "prefix_weights": form}
        _, _, backbone, module, source = parts_of(make_config(objective=objective, training=sizes))
        losses.append(validation_loss(backbone, module, source))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
