"""Objectives by name, and their settings."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from beamwise.config import Config, ConfigError, parse_config
from beamwise.objectives import OBJECTIVES, AnyObjectiveConfig, Objective
from beamwise.testing.objective_conformance import ObjectiveConformance
from beamwise.testing.random_scores import padded

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "apao-pairwise of a beam": ("apao-pairwise", {"beam_width": 3, "prefix_weights": "uniform"}),
    "apao-pairwise released": ("apao-pairwise", {"prefix_weights": "released"}),
    "dpo without reference": ("dpo", {"reference": "none"}),
    "s-dpo in one stage": ("s-dpo", {"ce_weight": 1.0, "weight": 0.5}),
    "msl adaptive": ("msl", {"adaptive_temperature": True}),
    "bear reweight": ("bear", {"form": "reweight"}),
    "bear of a narrow beam": ("bear", {"beam_width": 2, "softmax": "vocabulary"}),
    "bear log-sigmoid": ("bear", {"beam_width": 2, "form": "log-sigmoid"}),
    "apao-pointwise on titles": ("apao-pointwise", {"levels": "branching", "max_prefixes": 3}),
    "apao-pairwise on titles": ("apao-pairwise", {"levels": "branching"}),
    "prefix-survival on titles": ("prefix-survival", {"average": "branching"}),
    "msl in one stage": ("msl", {"ce_weight": 0.5, "average": "branching"}),
    "prefix-survival smoothed": ("prefix-survival", {"beam_width": 2, "smoothing": 0.2}),
}
NEED_NEGATIVES = ("apao-pairwise", "dpo", "dmpo", "s-dpo")


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
    assert objective.needs.negatives == (name in NEED_NEGATIVES)


def test_the_union_holds_the_settings_of_every_objective() -> None:
    union = get_args(AnyObjectiveConfig)[0]
    assert set(get_args(union)) == {objective.Config for objective in OBJECTIVES.values()}


def test_unknown_name_and_setting_are_one_line() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown objective.name 'cee'; choose one of ce, apao-po"
    ):
        parse_config(Settings, {"objective": {"name": "cee"}}, "test")
    with pytest.raises(ConfigError, match=r"unknown setting 'objective.betta'; did you mean"):
        parse_config(Settings, {"objective": {"name": "apao-pointwise", "betta": 1}}, "test")


class TestEveryObjective(ObjectiveConformance):
    """Each with its default settings, and with others that change what is computed."""

    @pytest.fixture(autouse=True, params=[*OBJECTIVES, *VARIANTS])
    def _choose(self, request: pytest.FixtureRequest) -> None:
        name, settings = VARIANTS.get(request.param, (request.param, {}))
        self.config = OBJECTIVES[name].Config.model_validate({"name": name} | settings)
        self.name = name

    def make(self) -> Objective:
        return OBJECTIVES[self.name](self.config)

    def test_padding_levels_change_nothing(self) -> None:
        """Levels that no target has; weights over all levels are a choice of the settings."""
        scores = self.scores(12)
        config = self.config
        if "prefixes" in type(config).model_fields:
            config = config.model_copy(update={"prefixes": (1, 2, 3)})
        losses = [
            OBJECTIVES[self.name](config).double()(some)[0] for some in (scores, padded(scores, 2))
        ]
        torch.testing.assert_close(losses[1], losses[0])
