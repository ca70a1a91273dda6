"""What every objective must do: subclass `ObjectiveConformance` in a test file and give `make`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.objectives.base import (
    CandidateScores,
    Mean,
    Objective,
    ObjectiveConfig,
    PrefixLevels,
)
from beamwise.testing.host_syncs import forbid_host_syncs
from beamwise.testing.random_scores import random_scores, without_row


def tensors_of(scores: CandidateScores) -> dict[str, Tensor]:
    """Every tensor of the scores, by its field."""
    fields = dict(vars(scores))
    for part in ("legal", "prefixes"):
        inner = fields[part]
        inner = {} if inner is None else vars(inner)
        fields |= {f"{part}.{name}": value for name, value in inner.items()}
    return {name: value for name, value in fields.items() if isinstance(value, Tensor)}


def with_candidates(scores: CandidateScores, columns: Int64[Tensor, " kept"]) -> CandidateScores:
    """The same scores with these candidates, in this order."""
    fields = vars(scores).items()
    kept = {name: value[:, columns] for name, value in fields if isinstance(value, Tensor)}
    prefixes = scores.prefixes
    if prefixes is not None:
        weights = None if prefixes.log_weights is None else prefixes.log_weights[:, columns]
        prefixes = PrefixLevels(prefixes.lengths, prefixes.counts[:, columns], weights)
    return replace(scores, prefixes=prefixes, **kept)


def competing(scores: CandidateScores) -> Bool[Tensor, "batch candidates levels"]:
    """Tokens whose log-probability a loss may read: of the target, and of what competes with it.

    A negative's token counts where a prefix that ends there or later does, or a whole item.
    """
    counts = scores.counts.flip(2).cummax(2).values.flip(2)
    if scores.prefixes is not None:
        lengths = (scores.prefixes.lengths[:, None] * scores.prefixes.counts).amax(2)
        counts = torch.arange(counts.shape[2]) < lengths[..., None]
    is_item = torch.ones_like(counts) if scores.is_item is None else scores.is_item[..., None]
    target = torch.arange(counts.shape[1]) == 0
    return counts | is_item | target[:, None]


class ObjectiveConformance:
    """The contract of `beamwise.objectives.base.Objective`, checked on random scores."""

    def make(self) -> Any:
        """A new objective; the suite uses it in float64."""
        raise AssertionError("a conformance test gives its own `make`")

    def objective(self) -> Objective:
        """A new one in float64, told that the next batch opens a step."""
        objective = self.make().double()
        objective.begin_update(micro_batch=True, step=True)
        return objective

    def scores(self, seed: int = 0, **sizes: Any) -> CandidateScores:
        """Random scores with all that the objective needs."""
        needs = self.make().needs
        asked: dict[str, Any] = {
            "items": needs.negatives,
            "legal": needs.legal_logits,
            "reference": needs.reference is not None,
            "vocabulary": needs.vocabulary,
            "prefixes": needs.branching_levels,
        }
        return random_scores(seed, **(asked | sizes))

    def test_losses_are_finite_and_metrics_are_detached_numbers(self) -> None:
        """A loss a target; scalars that hold no graph; also with weights and one level."""
        for scores in self._kinds_of_scores():
            loss, metrics = self.objective()(scores)
            assert loss.shape == scores.counts.shape[:1]
            assert loss.dtype == torch.float64
            assert bool(loss.isfinite().all()), "a loss is not finite"
            assert metrics, "there is nothing to log"
            for name, metric in metrics.items():
                value = metric.value if isinstance(metric, Mean) else metric
                assert value.shape == (), f"{name} is no number"
                assert value.is_floating_point(), f"{name} is no float"
                assert not value.requires_grad, f"{name} holds the graph"
                assert bool(value.isfinite()), f"{name} is not finite"

    def test_gradient_reaches_only_what_competes(self) -> None:
        """The target's tokens, and those of negatives where they count; finite everywhere."""
        for scores in self._kinds_of_scores():
            gradients = self._gradients(scores)
            assert all(bool(gradient.isfinite().all()) for gradient in gradients)
            assert any(bool(part.any()) for part in gradients), "there is no gradient at all"
            if scores.log_probs is None:
                continue
            allowed = competing(scores)
            allowed[:, 1:] &= self.make().needs.negatives
            reached = gradients[0][~allowed]
            assert not bool(reached.any()), "a gradient reaches what does not compete"

    def test_what_does_not_compete_changes_nothing(self) -> None:
        """Log-probabilities of candidates that neither count nor are items are never read."""
        for scores in self._kinds_of_scores():
            if scores.log_probs is None:
                continue
            other = torch.where(competing(scores), scores.log_probs, -40.0)
            changed = replace(scores, log_probs=other)
            torch.testing.assert_close(self._loss(changed), self._loss(scores))

    def test_nothing_pulls_on_negatives_where_none_competes(self) -> None:
        """The loss is finite, its gradient too, and 0 at every negative."""
        scores = self.scores(1)
        is_target = torch.arange(scores.counts.shape[1]) == 0
        counts = scores.counts & is_target[:, None]
        is_item = None if scores.is_item is None else scores.is_item & is_target
        alone = replace(scores, counts=counts, is_item=is_item)
        if scores.prefixes is not None:
            own = scores.prefixes.counts & is_target[:, None]
            alone = replace(alone, prefixes=replace(scores.prefixes, counts=own))
        assert bool(self._loss(alone).isfinite().all())
        gradients = self._gradients(alone)
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        if scores.log_probs is not None:
            assert not bool(gradients[0][:, 1:].any()), "a negative that does not count is pulled"

    def test_logits_of_forced_tokens_change_nothing(self) -> None:
        """Where one token is legal its legal logit may be any number, and has no gradient."""
        for scores in self._kinds_of_scores():
            legal = scores.legal
            if legal is None:
                continue
            forced = (legal.counts.flatten() == 1)[legal.step]
            logits = torch.where(forced, 7.0, legal.logits.detach()).requires_grad_()
            changed = replace(scores, legal=replace(legal, logits=logits))
            torch.testing.assert_close(self._loss(changed), self._loss(scores))
            assert not bool(self._gradients(changed)[-1][forced].any()), "a forced token is pulled"

    def test_order_of_negatives_changes_nothing(self) -> None:
        """Candidates after the target are a set."""
        for scores in self._kinds_of_scores():
            num_negatives = scores.counts.shape[1] - 1
            order = torch.cat([torch.zeros(1).long(), torch.arange(num_negatives, 0, -1)])
            moved = with_candidates(scores, order)
            torch.testing.assert_close(self._loss(moved), self._loss(scores))

    def test_targets_do_not_depend_on_each_other(self) -> None:
        """But for objectives whose `needs` say that they look at a whole micro-batch."""
        if self.make().needs.micro_batches:
            return
        for scores in self._kinds_of_scores():
            kept = torch.arange(len(scores.counts)) != 1
            torch.testing.assert_close(self._loss(without_row(scores, 1)), self._loss(scores)[kept])

    def test_arguments_are_not_modified(self) -> None:
        """The scores are as they were, after forward and backward pass."""
        scores = self.scores(2, weighted=True)
        before = {name: value.detach().clone() for name, value in tensors_of(scores).items()}
        self._gradients(scores)
        for name, value in tensors_of(scores).items():
            assert torch.equal(value.detach(), before[name]), f"{name} was modified"

    def test_nothing_waits_for_the_device(self) -> None:
        """Neither pass reads a value, in training or evaluation."""
        for training in (True, False):
            scores = self.scores(3, weighted=True)
            objective = self.objective().train(training)
            with forbid_host_syncs():
                objective(scores)[0].sum().backward()

    def test_evaluation_changes_no_state(self) -> None:
        """In evaluation mode equal scores have equal losses, whatever was seen between."""
        objective = self.objective()
        objective(self.scores(4))
        objective.eval()
        before = deepcopy(objective.state_dict())
        scores = self.scores(5)
        loss = objective(scores)[0]
        objective.begin_update(micro_batch=True, step=True)
        objective(self.scores(6))
        for name, value in objective.state_dict().items():
            assert torch.equal(value, before[name]), f"{name} changed in evaluation mode"
        torch.testing.assert_close(objective(scores)[0], loss)

    def test_what_is_needed_is_asked_for(self) -> None:
        """Scores without it are refused in one line, never silently replaced."""
        needs, scores = self.make().needs, self.scores()
        lacking: list[CandidateScores] = []
        if needs.negatives:
            lacking.append(with_candidates(scores, torch.tensor([0])))
        if needs.vocabulary:
            lacking.append(replace(scores, log_probs=None))
        if needs.branching_levels:
            lacking.append(replace(scores, prefixes=None))
        if needs.legal_logits:
            lacking.append(replace(scores, legal=None))
        if needs.reference is not None:
            lacking.append(replace(scores, reference_log_probs=None))
        for incomplete in lacking:
            message = str(_refusal(partial(self.objective(), incomplete)))
            assert "\n" not in message, f"more than one line: {message}"

    def test_settings_are_complete_and_strict(self) -> None:
        """Unknown keys are refused, and what is written is read back equal."""
        kind = type(self.make()).Config
        assert issubclass(kind, ObjectiveConfig)
        config = kind()
        name = config.model_dump()["name"]
        assert kind.model_validate({"name": name}) == config
        assert kind.model_validate_json(config.model_dump_json()) == config
        _refusal(partial(kind.model_validate, {"name": name, "no_such_setting": 1}))
        for setting, field in kind.model_fields.items():
            assert setting == "name" or field.description, f"{setting} has no docstring"

    def _kinds_of_scores(self) -> Iterator[CandidateScores]:
        """Ragged ones, weighted, without knowing what an item is, of one level, of titles."""
        yield self.scores(7)
        yield self.scores(8, weighted=True)
        yield self.scores(9, items=False)
        yield self.scores(10, levels=1)
        yield self.scores(11, batch=3, candidates=2)
        yield self.scores(12, levels=9, titles=True)

    def _loss(self, scores: CandidateScores) -> Float[Tensor, " batch"]:
        return self.objective()(scores)[0].detach()

    def _gradients(self, scores: CandidateScores) -> tuple[Tensor, ...]:
        """Of the log-probabilities and of the legal logits, where there are some."""
        logits = None if scores.legal is None else scores.legal.logits
        leaves = [part for part in (scores.log_probs, logits) if part is not None]
        loss = self.objective()(scores)[0].sum()
        return torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)


def _refusal(call: Callable[[], Any]) -> ValueError:
    """The error by which `call` refuses what it is given."""
    try:
        call()
    except ValueError as error:
        return error
    raise AssertionError("what is missing or unknown was not refused by a ValueError")
