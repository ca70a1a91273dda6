import pytest
import torch

from beamwise.backbones.dropout import dropped


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.5, 0.9])
def test_so_many_values_are_dropped_and_the_mean_stays(probability):
    torch.manual_seed(0)
    found = dropped(torch.ones(1000, 1003), probability)
    # a million draws: the share's standard deviation is below 0.0005
    assert float((found == 0).float().mean()) == pytest.approx(probability, abs=0.0025)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.003 / (1 - probability))
    kept = found[found > 0]
    assert float(kept.min()) == float(kept.max()) == pytest.approx(1 / (1 - probability), rel=1e-3)


def test_values_are_dropped_independently():
    torch.manual_seed(1)
    kept = (dropped(torch.ones(4000, 4), 0.5) > 0).double()
    correlations = torch.corrcoef(kept.T) - torch.eye(4, dtype=torch.float64)
    assert float(correlations.abs().max()) < 0.06  # four standard deviations of 4,000 draws


def test_the_gradient_goes_where_the_values_went():
    torch.manual_seed(2)
    values = torch.randn(5, 7, requires_grad=True)
    found = dropped(values, 0.3)
    (gradient,) = torch.autograd.grad(found.sum(), values)
    torch.testing.assert_close(gradient, found.detach() / values.detach())


def test_a_seed_fixes_what_is_dropped():
    torch.manual_seed(3)
    first, second = (dropped(torch.ones(50), 0.5) for _ in range(2))
    torch.manual_seed(3)
    assert torch.equal(dropped(torch.ones(50), 0.5), first)
    assert not torch.equal(first, second)


def test_without_probability_nothing_changes_and_nothing_is_drawn():
    values = torch.randn(3)
    state = torch.random.get_rng_state()
    assert dropped(values, 0.0) is values
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_types_and_odd_shapes_are_kept(dtype):
    for shape in ((1,), (3, 1, 5), (0, 4)):
        found = dropped(torch.ones(shape, dtype=dtype), 0.5)
        assert found.shape == shape
        assert found.dtype == dtype


def test_outside_training_nothing_is_dropped():
    values = torch.ones(100)
    assert dropped(values, 0.5, training=False) is values
