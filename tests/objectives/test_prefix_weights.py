"""Prefix weights: the update as an optimum, published behaviour, and what a window is."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from beamwise.objectives.prefix_weights import (
    PrefixWeights,
    WeightForm,
    algorithm1,
    eq17,
    hard_max,
    released,
    uniform,
)

FORMS: tuple[WeightForm, ...] = ("uniform", "hard-max", "eq17", "algorithm1", "released")
LOSSES = torch.tensor([4.0, 1.0, 2.0, 1.0], dtype=torch.float64)


def seeded(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 3


def weights_of(form: WeightForm, **settings: object) -> PrefixWeights:
    return PrefixWeights(form, eta=0.5, **settings).double()  # pyright: ignore[reportArgumentType]


def everywhere(losses: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(losses, dtype=torch.bool)


@given(seed=st.integers(0, 2**32 - 1), eta=st.floats(0.05, 3.0))
@settings(max_examples=25, deadline=None)
def test_eq17_solves_its_kl_problem(seed: int, eta: float) -> None:
    losses = seeded(seed, 4)
    previous = seeded(seed + 1, 4).softmax(0)

    def negated_objective(logits: np.ndarray) -> float:
        w = torch.from_numpy(logits).softmax(0)
        return float(-(w @ losses) + (w * (w / previous).log()).sum() / eta)

    optimum = minimize(negated_objective, np.zeros(4), method="BFGS", options={"gtol": 1e-9})
    ours = eq17(previous.log(), losses, eta=eta)
    assert negated_objective(ours.numpy()) <= optimum.fun + 1e-12
    numerical = torch.from_numpy(optimum.x).softmax(0)
    # The optimiser differentiates numerically: its steps of 1.5e-8 leave about that much error.
    torch.testing.assert_close(ours.softmax(0), numerical, atol=1e-5, rtol=0)


def test_forms_golden() -> None:
    half_up = math.log(2) / 2  # exp(eta L) = 2 ** (L / 2) for L = 4, 1, 2, 1
    third = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
    powers = torch.tensor([4.0, math.sqrt(2), 2.0, math.sqrt(2)], dtype=torch.float64)
    product = third * powers
    torch.testing.assert_close(
        eq17(third.log(), LOSSES, eta=half_up).softmax(0), product / product.sum()
    )
    # L / sum L = 1/2, 1/8, 1/4, 1/8 and eta = 8 ln 2: factors 16, 2, 4, 2 on the same start.
    torch.testing.assert_close(
        algorithm1(third.log(), LOSSES, eta=8 * math.log(2)).softmax(0),
        torch.tensor([8.0, 0.5, 0.5, 0.25], dtype=torch.float64) / 9.25,
    )
    product = LOSSES * powers
    torch.testing.assert_close(released(LOSSES, eta=half_up).softmax(0), product / product.sum())
    assert hard_max(LOSSES).softmax(0).tolist() == [1, 0, 0, 0]
    assert uniform(LOSSES).softmax(0).tolist() == [0.25] * 4


def test_released_without_eta_is_proportional_to_the_loss() -> None:
    torch.testing.assert_close(released(LOSSES, eta=0.0).softmax(0), LOSSES / LOSSES.sum())


def test_forms_without_loss() -> None:
    zeros = torch.zeros(3)
    start = torch.tensor([0.0, -1.0, -2.0])
    torch.testing.assert_close(algorithm1(start, zeros, eta=1.0), start)
    assert released(zeros, eta=1.0).softmax(0).tolist() == [pytest.approx(1 / 3)] * 3
    assert released(torch.tensor([0.0, 1.0]), eta=1.0).softmax(0).tolist() == [0.0, 1.0]


def test_how_far_the_stateful_forms_move_depends_on_updates_times_eta() -> None:
    # Constant losses: w = softmax(updates * eta * L). Office has 38,543 examples, so an epoch has
    # 38 optimiser steps of 1,024, or 302 micro-batches of 128.
    losses = torch.tensor([4.0, 3.4, 3.0, 2.8], dtype=torch.float64)[None]
    slow = PrefixWeights("eq17", eta=1e-5)
    for _ in range(38 * 10):
        slow(losses, everywhere(losses))
    moved = slow.log_weights[:4].softmax(0).double()
    assert 0.001 < float((moved * 4 - 1).abs().max()) < 0.02
    # Float32 state must not lose moves of 1e-5 an update.
    torch.testing.assert_close(moved, (38 * 10 * 1e-5 * losses[0]).softmax(0), atol=1e-6, rtol=1e-4)
    fast = torch.zeros(4, dtype=torch.float64)
    normalised = torch.zeros(4, dtype=torch.float64)
    for _ in range(302):
        fast = eq17(fast, losses[0], eta=5e-4)
        normalised = algorithm1(normalised, losses[0], eta=5e-4)
    fast, normalised = 60 * fast, 60 * normalised  # 59 more epochs like the first
    assert float(fast.softmax(0)[0]) > 0.99
    # Algorithm 1's shares differ by at most 0.1 here: the same settings stay far from one-hot.
    assert float(normalised.softmax(0)[0]) < 0.5


@pytest.mark.parametrize("form", FORMS)
def test_one_batch_is_its_own_window(form: WeightForm) -> None:
    module = weights_of(form)
    exists = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.bool)
    batch = seeded(0, 3, 3).where(exists, 0.0).requires_grad_()
    mean = torch.stack([batch[: 3 - level, level].mean() for level in range(3)]).detach()
    expected = {
        "uniform": torch.full((3,), 1 / 3, dtype=torch.float64),
        "hard-max": torch.nn.functional.one_hot(mean.argmax(), 3).double(),
        "eq17": (0.5 * mean).softmax(0),
        "algorithm1": (0.5 * mean / mean.sum()).softmax(0),
        "released": (mean * (0.5 * mean).exp()) / (mean * (0.5 * mean).exp()).sum(),
    }[form]
    weights = module(batch, exists)
    torch.testing.assert_close(weights, expected)
    assert not weights.requires_grad


@pytest.mark.parametrize("form", FORMS)
def test_chunks_of_a_window_carry_forward_what_one_batch_does(form: WeightForm) -> None:
    batch, following = seeded(1, 6, 3), seeded(2, 6, 3)

    def run(parts: list[torch.Tensor]) -> tuple[PrefixWeights, torch.Tensor, torch.Tensor]:
        module, last = weights_of(form), torch.empty(0)
        for number, part in enumerate(parts):
            module.begin_update(micro_batch=number == 0, step=number == 0)
            last = module(part, everywhere(part))
        module.begin_update(micro_batch=True, step=False)
        return module, last, module(following, everywhere(following))

    whole, expected_last, expected_after = run([batch])
    chunked, last, after = run([batch[:2], batch[2:5], batch[5:]])
    torch.testing.assert_close(last, expected_last)
    torch.testing.assert_close(after, expected_after)
    torch.testing.assert_close(chunked.log_weights, whole.log_weights)
    torch.testing.assert_close(chunked.window_start, whole.window_start)


def test_first_chunk_is_one_update_from_the_start_of_the_window() -> None:
    module = weights_of("eq17")
    batch = seeded(1, 4, 3)
    module.begin_update(micro_batch=True, step=True)
    torch.testing.assert_close(
        module(batch[:1], everywhere(batch[:1])), (0.5 * batch[0]).softmax(0)
    )
    module.begin_update(micro_batch=False, step=False)
    torch.testing.assert_close(
        module(batch[1:], everywhere(batch[1:])), (0.5 * batch.mean(0)).softmax(0)
    )


@pytest.mark.parametrize(("update_every", "num_updates"), [("micro_batch", 4), ("step", 2)])
def test_update_every(update_every: str, num_updates: int) -> None:
    module = weights_of("eq17", update_every=update_every)
    batch = seeded(3, 5, 3)
    for step in (True, False, True, False):  # two optimiser steps of two micro-batches
        module.begin_update(micro_batch=True, step=step)
        weights = module(batch, everywhere(batch))
    torch.testing.assert_close(weights, (num_updates * 0.5 * batch.mean(0)).softmax(0))


def test_never_told_of_updates_every_batch_is_one() -> None:
    module = weights_of("eq17")
    batch = seeded(3, 5, 3)
    for number in (1, 2, 3):
        weights = module(batch, everywhere(batch))
        torch.testing.assert_close(weights, (number * 0.5 * batch.mean(0)).softmax(0))


@pytest.mark.parametrize("form", FORMS)
def test_evaluation_updates_nothing(form: WeightForm) -> None:
    module = weights_of(form)
    first, other = seeded(4, 5, 3), seeded(5, 5, 3)
    trained = module(first, everywhere(first))
    before = {name: buffer.clone() for name, buffer in module.state_dict().items()}
    evaluated = module.eval()(other, everywhere(other))
    for name, buffer in module.state_dict().items():
        assert torch.equal(buffer, before[name])
    torch.testing.assert_close(evaluated, trained)


def test_state_survives_saving_inside_a_window() -> None:
    first, second, rest = seeded(6, 3, 4, 3)

    def before(module: PrefixWeights) -> PrefixWeights:
        for part in (first, second):
            module.begin_update(micro_batch=True, step=part is first)
            module(part, everywhere(part))
        return module

    def after(module: PrefixWeights) -> torch.Tensor:
        module.begin_update(micro_batch=False, step=False)
        return module(rest, everywhere(rest))

    resumed = weights_of("eq17")
    resumed.load_state_dict(before(weights_of("eq17")).state_dict())
    assert torch.equal(after(resumed), after(before(weights_of("eq17"))))


def test_only_chosen_prefixes_carry_weight() -> None:
    module = weights_of("eq17", prefixes=(1, 3, 4))
    batch = seeded(7, 5, 4)
    weights = module(batch, everywhere(batch))
    chosen = (0.5 * batch.mean(0)[[0, 2, 3]]).softmax(0)
    assert weights[1] == 0
    torch.testing.assert_close(weights[[0, 2, 3]], chosen)


def test_level_without_targets_has_no_loss() -> None:
    module = weights_of("eq17")
    batch = seeded(8, 2, 3)
    exists = torch.tensor([[True, True, False], [True, True, False]])
    means = torch.cat([batch[:, :2].mean(0), torch.zeros(1, dtype=torch.float64)])
    torch.testing.assert_close(module(batch, exists), (0.5 * means).softmax(0))


def test_levels_that_a_batch_lacks_keep_their_share() -> None:
    module = weights_of("eq17")
    short, long = seeded(9, 2, 3), seeded(10, 2, 4)
    module(short, everywhere(short))
    total = torch.nn.functional.pad(short.mean(0), (0, 1)) + long.mean(0)
    torch.testing.assert_close(module(long, everywhere(long)), (0.5 * total).softmax(0))


def test_weight_that_fell_to_nothing_can_return() -> None:
    module = PrefixWeights("eq17", eta=1.0)
    away, back = torch.tensor([[1000.0, 0.0]]), torch.tensor([[0.0, 2000.0]])
    assert module(away, everywhere(away)).tolist() == [1, 0]
    assert module(back, everywhere(back)).tolist() == [0, 1]


def test_levels_out_of_range_are_refused() -> None:
    batch = torch.ones(2, 4)
    with pytest.raises(ValueError, match=r"4 levels and max_levels=3.*at least 4"):
        PrefixWeights("eq17", eta=0.1, max_levels=3)(batch, everywhere(batch))
    with pytest.raises(ValueError, match=r"prefixes=\(1, 5\) must lie in 1..4"):
        PrefixWeights("eq17", eta=0.1, prefixes=(1, 5))(batch, everywhere(batch))


TWO_PROCESSES = """
import sys, torch
from beamwise.objectives.prefix_weights import PrefixWeights
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", f"file://{sys.argv[2]}", world_size=2, rank=rank)
batch = torch.tensor([[4.0, 1.0], [2.0, 1.0], [0.0, 4.0]])
mine = batch[:2] if rank else batch[2:]
weights = PrefixWeights("eq17", eta=0.5)(mine, torch.ones_like(mine, dtype=torch.bool))
expected = (0.5 * batch.mean(0)).softmax(0)
torch.testing.assert_close(weights, expected)
torch.distributed.destroy_process_group()
"""


def test_two_processes_share_the_mean_over_all_targets(tmp_path: Path) -> None:
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
