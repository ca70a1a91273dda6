"""Beam-aware losses: the gradient identities, the forms against naive loops, who is pruned."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from beamwise.objectives.base import CandidateScores
from beamwise.objectives.beam_aware import (
    BeamAware,
    BeamAwareConfig,
    hinge_penalties,
    kth_largest,
    log_sigmoid_penalties,
    pruning_margins,
    survival_weights,
    threshold_gaps,
)
from beamwise.objectives.masked_softmax import (
    MaskedSoftmax,
    MaskedSoftmaxConfig,
    legal_log_probs,
    legal_logits_of,
)
from beamwise.testing.legal_steps import legal_scores, steps_of
from beamwise.testing.random_scores import random_scores

FORMS = ("hinge", "log-sigmoid", "reweight")
XI, WEIGHT = 0.7, 0.4


def bear(**changes: object) -> BeamAware:
    options = {"beam_width": 2, "xi": XI, "weight": WEIGHT, **changes}
    return BeamAware(BeamAwareConfig.model_validate(options)).double()


def naive_tokens(scores: CandidateScores, widths: list[int], vocabulary: bool) -> list[dict]:
    """log P, log beta and the number of legal tokens of every step, one at a time."""
    tokens = []
    for step in steps_of(legal_logits_of(scores)):
        log_probs = step.logits.log_softmax(0)
        log_prob = log_probs[step.own]
        if vocabulary:
            log_prob = scores.log_probs[step.row, 0, step.level]
            log_probs = log_probs + (log_prob - log_probs[step.own])
        best = sorted(log_probs.detach().tolist(), reverse=True)
        width = widths[step.level]
        threshold = best[min(width, len(best)) - 1]
        tokens.append({"row": step.row, "log_prob": log_prob, "log_beta": threshold,
                       "legal": len(best), "width": width})  # fmt: skip
    return tokens


def naive_loss(
    scores: CandidateScores, form: str, *, widths: list[int], branching: bool, vocabulary: bool
) -> torch.Tensor:
    """The loss of every target, from probabilities as the equations have them."""
    batch = len(scores.log_probs)
    sums = [torch.zeros((), dtype=torch.float64) for _ in range(batch)]
    numbers, weight_sum = [0] * batch, 0.0
    for token in naive_tokens(scores, widths, vocabulary):
        if branching and token["legal"] == 1:
            continue
        margin = token["log_beta"] - token["log_prob"]
        loss = -token["log_prob"]
        if form == "reweight":
            weight = 1 + WEIGHT / (1 + math.exp(margin.item() / XI))
            weight_sum += weight
            loss = weight * loss
        elif token["legal"] > token["width"]:
            inside = margin / XI if form == "hinge" else -margin / XI
            penalty = torch.log(1 + torch.exp(inside))
            loss = loss + WEIGHT * (penalty if form == "hinge" else -penalty)
        sums[token["row"]] = sums[token["row"]] + loss
        numbers[token["row"]] += 1
    if form == "reweight":
        return torch.stack(sums) * (batch / weight_sum)
    return torch.stack([s / max(n, 1) for s, n in zip(sums, numbers, strict=True)])


@given(
    seed=st.integers(0, 2**32 - 1),
    form=st.sampled_from(FORMS),
    branching=st.booleans(),
    vocabulary=st.booleans(),
    widths=st.sampled_from([[2, 2, 2], [3, 1, 2]]),
)
@settings(max_examples=40)
def test_loss_is_the_naive_one(seed, form, branching, vocabulary, widths) -> None:
    scores = random_scores(seed, legal=True)
    objective = bear(
        form=form,
        beam_width=2 if len(set(widths)) == 1 else widths,
        average="branching" if branching else "tokens",
        softmax="vocabulary" if vocabulary else "legal",
    )
    loss, _ = objective(scores)
    naive = naive_loss(scores, form, widths=widths, branching=branching, vocabulary=vocabulary)
    torch.testing.assert_close(loss, naive)
    inputs = (scores.log_probs, legal_logits_of(scores).logits)
    factors = torch.arange(1.0, 6.0, dtype=torch.float64)
    gradients = torch.autograd.grad((loss * factors).sum(), inputs, materialize_grads=True)
    expected = torch.autograd.grad((naive * factors).sum(), inputs, materialize_grads=True)
    torch.testing.assert_close(gradients, expected)


def test_golden_thresholds() -> None:
    # Target 1 against 4, 3, 2: the third is 2, so it is pruned by 1 with B = 3, by 3 with B = 1.
    # Target 3 against 4, 2: second of three. Alone: its own threshold. Past the end: 0.
    scores = legal_scores([[[1, 4, 3, 2], [3, 4, 2]], [[9]]])
    legal = legal_logits_of(scores)
    three = torch.tensor([3])
    assert kth_largest(legal, three).tolist() == [[2, 2], [9, 0]]
    assert threshold_gaps(legal, three).tolist() == [[1, -1], [0, 0]]
    assert threshold_gaps(legal, torch.tensor([1, 2])).tolist() == [[3, 0], [0, 0]]
    _, metrics = bear(beam_width=3)(scores)
    assert [float(metrics[f"{name}_1"]) for name in ("can_prune", "pruned", "pruned_by")] == [
        0.5, 0.5, 1.0
    ]  # fmt: skip
    assert [float(metrics[f"{name}_2"]) for name in ("can_prune", "pruned", "pruned_by")] == [0] * 3


def test_golden_loss() -> None:
    # P = 1/4 against 1/2, 1/4 with B = 1: Delta = log 2. xi = 1, lambda = 1: hinge adds log(1 + 2),
    # log-sigmoid log(2 / 3); reweight alone is cross-entropy, whatever its only weight.
    scores = legal_scores([[[math.log(1), math.log(2), math.log(1)]]])
    for form, added in (("hinge", math.log(3)), ("log-sigmoid", math.log(2 / 3)), ("reweight", 0)):
        loss, _ = bear(form=form, beam_width=1, xi=1, weight=1)(scores)
        assert loss.tolist() == pytest.approx([math.log(4) + added])


@pytest.mark.parametrize("vocabulary", [False, True])
def test_gradient_identities(vocabulary: bool) -> None:
    """How many times the gradient of cross-entropy each token gets."""
    scores = random_scores(seed=3, legal=True)
    legal = legal_logits_of(scores)
    gaps = threshold_gaps(legal, torch.tensor([2]))
    source = scores.log_probs[:, 0] if vocabulary else legal_log_probs(legal)
    log_probs = source.detach().requires_grad_()
    margins = pruning_margins(log_probs, gaps)
    torch.testing.assert_close(margins.detach(), gaps, rtol=0, atol=0)
    for penalties, factor in (
        (hinge_penalties, 1 + WEIGHT / XI * torch.sigmoid(gaps / XI)),
        (log_sigmoid_penalties, 1 + WEIGHT / XI * torch.sigmoid(-gaps / XI)),
    ):
        loss = -log_probs + WEIGHT * penalties(margins, xi=XI)
        (gradient,) = torch.autograd.grad(loss.sum(), log_probs, retain_graph=True)
        torch.testing.assert_close(gradient, -factor)
    # The released weights are the second with lambda * xi.
    torch.testing.assert_close(
        survival_weights(gaps, weight=WEIGHT, xi=XI),
        1 + (WEIGHT * XI) / XI * torch.sigmoid(-gaps / XI),
    )


def test_reweight_is_log_sigmoid_with_lambda_xi_up_to_normalisation() -> None:
    # Every step has more than B legal tokens: elsewhere log-sigmoid adds nothing.
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, 3, 5, generator=generator, dtype=torch.float64).tolist()
    scores = legal_scores(rows)
    logits = legal_logits_of(scores).logits
    weighted, _ = bear(form="reweight")(scores)
    signed, _ = bear(form="log-sigmoid", weight=WEIGHT * XI)(scores)
    (of_weighted,) = torch.autograd.grad(weighted.mean(), logits)
    (of_signed,) = torch.autograd.grad(signed.mean(), logits)
    gaps = threshold_gaps(legal_logits_of(scores), torch.tensor([2]))
    mean_weight = survival_weights(gaps, weight=WEIGHT, xi=XI).mean()
    torch.testing.assert_close(of_weighted * mean_weight, of_signed)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_hinge_tends_to_the_margin_itself(seed: int) -> None:
    scores = random_scores(seed, legal=True)
    gaps = threshold_gaps(legal_logits_of(scores), torch.tensor([2]))
    for xi in (1e-2, 1e-4):
        excess = xi * hinge_penalties(gaps, xi=xi) - gaps.clamp(min=0)
        assert float(excess.min()) >= -1e-12
        assert float(excess.max()) <= xi * math.log(2) + 1e-12


@pytest.mark.parametrize("form", ["hinge", "log-sigmoid"])
@pytest.mark.parametrize("average", ["tokens", "branching"])
def test_a_beam_that_keeps_everything_leaves_the_legal_cross_entropy(form, average) -> None:
    scores = random_scores(seed=5, legal=True)
    loss, metrics = bear(form=form, average=average, beam_width=6)(scores)
    plain = MaskedSoftmax(MaskedSoftmaxConfig.model_validate({"average": average})).double()
    torch.testing.assert_close(loss, plain(scores)[0])
    assert all(float(metrics[f"can_prune_{level}"]) == 0 for level in (1, 2, 3))
    assert bear(form=form, beam_width=1)(scores)[0].tolist() != loss.tolist()


@pytest.mark.parametrize("form", FORMS)
def test_without_weight_it_is_cross_entropy(form: str) -> None:
    scores = random_scores(seed=6, legal=True)
    loss, metrics = bear(form=form, weight=0, average="branching")(scores)
    plain = MaskedSoftmax(MaskedSoftmaxConfig(average="branching")).double()
    if form == "reweight":  # the mean over the tokens of the batch, not of each target
        log_probs = legal_log_probs(legal_logits_of(scores))
        branching = legal_logits_of(scores).counts > 1
        torch.testing.assert_close(loss.mean(), -log_probs[branching].mean())
        return
    torch.testing.assert_close(loss, plain(scores)[0])
    torch.testing.assert_close(metrics["cross_entropy_legal"], loss.detach().mean())


def test_a_tie_with_the_last_place_counts_as_kept() -> None:
    legal = legal_logits_of(legal_scores([[[2.0, 3.0, 2.0, 2.0]]]))
    assert threshold_gaps(legal, torch.tensor([2])).tolist() == [[0]]
    _, metrics = bear(beam_width=2)(legal_scores([[[2.0, 3.0, 2.0, 2.0]]]))
    assert float(metrics["can_prune_1"]) == 1
    assert float(metrics["pruned_1"]) == 0


@pytest.mark.parametrize("form", FORMS)
def test_forced_tokens_alone_have_no_loss(form: str) -> None:
    scores = legal_scores([[[5.0], [1.0]], [[2.0]]])
    with torch.autograd.set_detect_anomaly(True):
        loss, _ = bear(form=form)(scores)
        loss.sum().backward()
    assert loss.tolist() == [0, 0]
    gradient = legal_logits_of(scores).logits.grad
    assert gradient is not None
    assert not gradient.any()


@pytest.mark.parametrize("form", FORMS)
def test_no_nan_on_the_way_back(form: str) -> None:
    scores = random_scores(seed=7, legal=True)
    with torch.autograd.set_detect_anomaly(True):
        bear(form=form)(scores)[0].sum().backward()
    gradient = legal_logits_of(scores).logits.grad
    assert gradient is not None
    assert gradient.isfinite().all()


def test_gradcheck_with_constant_thresholds() -> None:
    gaps = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    at = torch.tensor([[-3.0, -0.5]], dtype=torch.float64)

    def loss(log_probs: torch.Tensor) -> torch.Tensor:
        # The margin as the equation has it, log beta a constant: gaps are its value at `at`.
        return hinge_penalties(gaps + at - log_probs, xi=XI)

    point = at.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (point,))
    (expected,) = torch.autograd.grad(loss(point).sum(), point)
    ours = hinge_penalties(pruning_margins(point, gaps), xi=XI).sum()
    torch.testing.assert_close(torch.autograd.grad(ours, point)[0], expected)


def test_what_it_asks_of_the_loop() -> None:
    assert bear(form="reweight").needs.whole_micro_batches
    assert bear(form="reweight").needs.micro_batches
    assert not bear(form="hinge").needs.micro_batches
    assert bear(form="hinge", temperature=2.0).needs.temperature == 2
    assert (bear(form="reweight").average, bear(form="hinge").average) == ("branching", "tokens")


def test_widths_that_do_not_fit_are_refused() -> None:
    bear(beam_width=[20, 10]).check(2)
    bear(beam_width=20).check(4)
    with pytest.raises(ValueError, match=r"one for each of 4 levels, got \[20, 10\]"):
        bear(beam_width=[20, 10]).check(4)
    with pytest.raises(ValidationError):
        BeamAwareConfig(beam_width=0)


def test_without_legal_logits_is_refused() -> None:
    with pytest.raises(ValueError, match="need the legal tokens' logits"):
        bear()(random_scores())


TWO_PROCESSES = """
import sys, torch
from beamwise.objectives.beam_aware import BeamAware, BeamAwareConfig
from beamwise.testing.legal_steps import legal_scores
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", f"file://{sys.argv[2]}", world_size=2, rank=rank)
rows = [[[5.0, 1.0, 7.0]], [[3.0, 4.0, 0.0]], [[4.0]]]
mine = slice(0, 1) if rank else slice(1, 3)
objective = BeamAware(BeamAwareConfig(form="reweight", beam_width=1))
shared, _ = objective(legal_scores(rows[mine]))
torch.distributed.destroy_process_group()
torch.testing.assert_close(shared, objective(legal_scores(rows))[0][mine])
"""


def test_two_processes_share_the_normalisation(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_PROCESSES, str(rank), str(tmp_path / "rendezvous")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for run in runs:
        _, errors = run.communicate(timeout=60)
        assert run.returncode == 0, errors
