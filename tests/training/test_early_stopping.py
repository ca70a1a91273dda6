import pytest

from beamwise.training.config import EarlyStoppingConfig
from beamwise.training.early_stopping import EarlyStopping


def test_stops_after_patience_validations_without_a_new_best():
    stopping = EarlyStopping(EarlyStoppingConfig(metric="recall@10", patience=2))
    verdicts = [stopping.observe(value, epoch) for epoch, value in enumerate((0.1, 0.3, 0.3, 0.2))]
    assert verdicts == [True, True, False, False]
    assert stopping.should_stop
    assert (stopping.best, stopping.best_epoch) == (0.3, 1)


def test_a_loss_is_better_when_lower():
    stopping = EarlyStopping(EarlyStoppingConfig(metric="loss", patience=1))
    assert stopping.observe(2.0, 0)
    assert stopping.observe(1.0, 1)
    assert not stopping.should_stop
    assert not stopping.observe(1.5, 2)
    assert stopping.should_stop


def test_its_state_restores_it():
    config = EarlyStoppingConfig(patience=3)
    stopping = EarlyStopping(config)
    stopping.observe(0.5, 0)
    stopping.observe(0.4, 1)
    assert EarlyStopping(config, **stopping.state()) == stopping


def test_unknown_metrics_are_refused():
    with pytest.raises(ValueError, match="metric"):
        EarlyStoppingConfig(metric="auc")
