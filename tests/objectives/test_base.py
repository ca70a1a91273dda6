import pytest
import torch

from beamwise.objectives.base import CandidateScores, Needs, Objective, ObjectiveConfig


class Nothing(Objective):
    Config = ObjectiveConfig
    needs = Needs()

    def forward(self, scores: CandidateScores):
        return scores.log_probs.sum((1, 2)), {}


def test_an_objective_without_state_ignores_updates():
    objective = Nothing()
    before = dict(objective.state_dict())
    objective.begin_update(True, True)
    assert dict(objective.state_dict()) == before == {}
    scores = CandidateScores(torch.ones(2, 1, 3), torch.ones(2, 1, 3, dtype=torch.bool))
    assert objective(scores)[0].tolist() == [3.0, 3.0]


def test_an_objective_must_say_what_its_loss_is():
    class Unfinished(Objective):
        needs = Needs()

    with pytest.raises(TypeError, match="abstract"):
        Unfinished()


def test_temperatures_are_positive():
    with pytest.raises(ValueError, match="greater than 0"):
        ObjectiveConfig(temperature=0)


def test_needs_that_exclude_each_other_are_refused():
    for needs in (
        {"negatives": True},
        {"reference": "initial-weights"},
        {"branching_levels": True},
    ):
        with pytest.raises(ValueError, match="vocabulary=False leaves the legal logits alone"):
            Needs(legal_logits=True, vocabulary=False, **needs)
    with pytest.raises(ValueError, match="set legal_logits=True"):
        Needs(vocabulary=False)
