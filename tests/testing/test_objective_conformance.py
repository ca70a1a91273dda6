"""The suite must catch objectives that break the contract, each in one way."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch

from beamwise.objectives.base import Needs, Objective, ObjectiveConfig
from beamwise.objectives.masked_softmax import legal_logits_of, target_logits
from beamwise.objectives.softmax_dpo import SoftmaxDPO, SoftmaxDPOConfig
from beamwise.testing.objective_conformance import ObjectiveConformance


class Sound(SoftmaxDPO):
    """Passes; those below break one rule each."""

    def __init__(self):
        super().__init__(SoftmaxDPOConfig())
        self.register_buffer("seen", torch.zeros(()))


class AveragesOverTheBatch(Sound):
    def forward(self, scores):
        loss, metrics = super().forward(scores)
        return loss.mean(), metrics


class LogsAGraph(Sound):
    def forward(self, scores):
        loss, _ = super().forward(scores)
        return loss, {"loss": loss.mean()}


class DividesByZero(Sound):
    def forward(self, scores):
        loss, metrics = super().forward(scores)
        return loss + 0 * scores.is_item[:, 1:].sum(1).double().log(), metrics


class ReadsEveryCandidate(Sound):
    def preference_loss(self, log_ratios, counts, log_weights, *, beta):
        return super().preference_loss(log_ratios, None, log_weights, beta=beta)


class ReadsWithoutGradient(Sound):
    def preference_loss(self, log_ratios, counts, log_weights, *, beta):
        loss = super().preference_loss(log_ratios, counts, log_weights, beta=beta)
        return loss * log_ratios[:, 1:].detach().abs().sum(1)


class PrefersEarlyNegatives(Sound):
    def preference_loss(self, log_ratios, counts, log_weights, *, beta):
        earlier = torch.linspace(1.0, 2.0, log_ratios.shape[1], dtype=log_ratios.dtype)
        return super().preference_loss(log_ratios * earlier, counts, log_weights, beta=beta)


class LooksAtOthers(Sound):
    def forward(self, scores):
        loss, metrics = super().forward(scores)
        return loss + loss.detach().mean(), metrics


class ChangesItsArguments(Sound):
    def forward(self, scores):
        result = super().forward(scores)
        scores.reference_log_probs.zero_()
        return result


class Waits(Sound):
    def forward(self, scores):
        loss, metrics = super().forward(scores)
        return loss if loss.sum() > 0 else 2 * loss, metrics


class LearnsInEvaluation(Sound):
    def forward(self, scores):
        loss, metrics = super().forward(scores)
        self.seen.add_(1)
        return loss * self.seen.clone(), metrics


class DoesWithoutReference(Sound):
    def _reference_log_probs(self, scores):
        return scores.reference_log_probs


class ReadsForcedLogits(Sound):
    def __init__(self):
        super().__init__()
        self.needs = replace(self.needs, legal_logits=True)

    def forward(self, scores):
        loss, metrics = super().forward(scores)
        return loss + target_logits(legal_logits_of(scores))[:, 0], metrics


class LenientConfig(ObjectiveConfig, extra="allow"):
    name: Literal["lenient"] = "lenient"


class Lenient(Sound):
    Config = LenientConfig


class WithoutGradient(Objective):
    Config = SoftmaxDPOConfig
    needs = Needs()

    def forward(self, scores):
        return 0 * scores.log_probs[:, 0].sum(1), {}


def suite_of(objective: type) -> ObjectiveConformance:
    class Suite(ObjectiveConformance):
        def make(self):
            return objective()

    return Suite()


ONLY_WHAT_COMPETES = "test_gradient_reaches_only_what_competes"
NUMBERS = "test_losses_are_finite_and_metrics_are_detached_numbers"


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (AveragesOverTheBatch, NUMBERS),
        (ReadsForcedLogits, "test_logits_of_forced_tokens_change_nothing"),
        (LogsAGraph, NUMBERS),
        (DividesByZero, "test_nothing_pulls_on_negatives_where_none_competes"),
        (ReadsEveryCandidate, ONLY_WHAT_COMPETES),
        (ReadsEveryCandidate, "test_nothing_pulls_on_negatives_where_none_competes"),
        (ReadsWithoutGradient, "test_what_does_not_compete_changes_nothing"),
        (PrefersEarlyNegatives, "test_order_of_negatives_changes_nothing"),
        (LooksAtOthers, "test_targets_do_not_depend_on_each_other"),
        (ChangesItsArguments, "test_arguments_are_not_modified"),
        (Waits, "test_nothing_waits_for_the_device"),
        (LearnsInEvaluation, "test_evaluation_changes_no_state"),
        (DoesWithoutReference, "test_what_is_needed_is_asked_for"),
        (Lenient, "test_settings_are_complete_and_strict"),
        (WithoutGradient, ONLY_WHAT_COMPETES),
    ],
)
def test_each_breach_is_caught(broken: type, test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(suite_of(broken), test)()
    getattr(suite_of(Sound), test)()


def test_every_test_of_the_suite_is_shown_to_fail() -> None:
    tests = {name for name in vars(ObjectiveConformance) if name.startswith("test_")}
    (mark,) = test_each_breach_is_caught.pytestmark
    assert tests == {test for _, test in mark.args[1]}


def test_a_suite_without_an_objective_says_so() -> None:
    with pytest.raises(AssertionError, match="gives its own `make`"):
        ObjectiveConformance().make()
