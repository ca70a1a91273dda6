"""Objectives by name, and their settings."""

from __future__ import annotations

import pytest
import torch

from beamwise.config import Config, ConfigError, parse_config
from beamwise.objectives import OBJECTIVES, AnyObjectiveConfig, CandidateScores


class Settings(Config):
    """What a run holds of an objective."""

    objective: AnyObjectiveConfig


@pytest.mark.parametrize("name", OBJECTIVES)
def test_name_builds_from_its_own_settings(name: str) -> None:
    settings = parse_config(Settings, {"objective": {"name": name, "temperature": 2.0}}, "test")
    assert type(settings.objective) is OBJECTIVES[name].Config
    assert OBJECTIVES[name].Config().model_dump()["name"] == name
    objective = OBJECTIVES[name](settings.objective)
    assert objective.needs.temperature == 2.0
    assert objective.needs.negatives == (name == "apao-pairwise")


def test_unknown_name_and_setting_are_one_line() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown objective.name 'cee'; choose one of ce, apao-po"
    ):
        parse_config(Settings, {"objective": {"name": "cee"}}, "test")
    with pytest.raises(ConfigError, match=r"unknown setting 'objective.betta'; did you mean"):
        parse_config(Settings, {"objective": {"name": "apao-pointwise", "betta": 1}}, "test")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_is_per_target_and_metrics_are_detached(name: str, make_scores) -> None:
    scores = make_scores()
    loss, metrics = OBJECTIVES[name](OBJECTIVES[name].Config()).double()(scores)
    assert loss.shape == (5,)
    assert loss.requires_grad
    assert all(not value.requires_grad and value.shape == () for value in metrics.values())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_padding_levels_change_nothing(name: str, make_scores) -> None:
    scores = make_scores()
    padded = CandidateScores(
        torch.nn.functional.pad(scores.log_probs, (0, 2)),
        torch.nn.functional.pad(scores.counts, (0, 2)),
    )
    config = OBJECTIVES[name].Config()
    if name != "ce":
        config = config.model_copy(update={"prefixes": (1, 2, 3)})
    loss, _ = OBJECTIVES[name](config).double()(scores)
    torch.testing.assert_close(OBJECTIVES[name](config).double()(padded)[0], loss)
