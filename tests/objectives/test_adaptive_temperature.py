"""The adaptive temperature: its equation, and what a micro-batch is."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.objectives.adaptive_temperature import (
    AdaptiveTemperature,
    balancing_temperature,
    first_step_moments,
)
from beamwise.objectives.base import LegalLogits
from beamwise.testing.legal_steps import legal_scores, steps_of
from beamwise.testing.random_scores import random_scores

WIDE = {"eta": 1.0, "lowest": 0.01, "highest": 1000.0}


def scalar(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def legal_of(rows: list[list[list[float]]]) -> LegalLogits:
    legal = legal_scores(rows).legal
    assert legal is not None
    return legal


def module(**changes: float) -> AdaptiveTemperature:
    options = {"initial": 1.5, "smoothing": 0.25, **WIDE, **changes}
    return AdaptiveTemperature(**options).double()


def rooted(seed: int, batch: int) -> list[list[list[float]]]:
    """Targets with six first tokens, one of which has a second step."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, 6, generator=generator, dtype=torch.float64) * 2
    logits[:, 0] += 3
    rows = [[row] for row in logits.tolist()]
    rows[0].append([1.0, 2.0])
    return rows


def test_moments_golden() -> None:
    # 5 against 1 and 3: 5 - 2, and a variance of 1. Second steps do not count; alone there is none.
    gaps, variances = first_step_moments(legal_of([[[5, 1, 3], [9, 0]], [[4]], [[2, 6, 6]]]))
    assert gaps.tolist() == [3, 0, -4]
    assert variances.tolist() == [1, 0, 0]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_moments_equal_a_loop(seed: int) -> None:
    legal = random_scores(seed, legal=True).legal
    assert legal is not None
    gaps, variances = first_step_moments(legal)
    for step in (s for s in steps_of(legal) if s.level == 0 and len(s.logits) > 1):
        values = step.logits.tolist()
        own = values.pop(step.own)
        assert math.isclose(gaps[step.row], own - statistics.fmean(values), abs_tol=1e-9)
        assert math.isclose(variances[step.row], statistics.pvariance(values), abs_tol=1e-9)
    assert not gaps.requires_grad


def test_temperature_golden() -> None:
    # C = log 1 + 1, d = 5, v = 8: (5 + sqrt(25 - 16)) / 2 = 4; v = 20: sqrt of 0 instead.
    tokens = scalar(math.e)
    assert float(balancing_temperature(scalar(5), scalar(8), tokens, **WIDE)) == pytest.approx(4)
    assert float(balancing_temperature(scalar(5), scalar(20), tokens, **WIDE)) == 2.5
    bounded = {"eta": 1.0, "lowest": 1.5, "highest": 3.0}
    assert float(balancing_temperature(scalar(5), scalar(8), tokens, **bounded)) == 3
    assert float(balancing_temperature(scalar(-5), scalar(8), tokens, **bounded)) == 1.5


@given(d=st.floats(1, 30), v=st.floats(0.01, 3), tokens=st.integers(12, 3000))
def test_temperature_balances_the_target_with_normally_distributed_others(d, v, tokens) -> None:
    settings = {**WIDE, "eta": 0.25}
    share = math.log(0.25 * tokens)
    tau = float(balancing_temperature(scalar(d), scalar(v), scalar(tokens), **settings))
    if d * d >= 2 * share * v:
        assert d / tau == pytest.approx(share + v / (2 * tau**2))
    else:
        assert tau == pytest.approx(d / (2 * share))


@pytest.mark.parametrize("num_tokens", [1, 3, 4])  # eta of them is at most one
def test_few_first_tokens_give_the_upper_bound(num_tokens: int) -> None:
    bounds = {"eta": 0.25, "lowest": 1.5, "highest": 5.0}
    for d, v in ((2.0, 1.0), (-2.0, 1.0), (0.0, 0.0)):
        assert balancing_temperature(scalar(d), scalar(v), scalar(num_tokens), **bounds) == 5


def test_it_moves_by_what_the_last_micro_batch_measured() -> None:
    first, second = legal_of(rooted(0, 4)), legal_of(rooted(1, 3))
    follows = module()
    assert float(follows(first)) == 1.5
    expected = 1.5
    for legal in (first, second):
        gaps, variances = first_step_moments(legal)
        towards = balancing_temperature(gaps.mean(), variances.mean(), scalar(6), **WIDE)
        expected = 0.75 * expected + 0.25 * float(towards)
        assert float(follows(second)) == pytest.approx(expected)


def test_how_a_micro_batch_is_cut_changes_nothing() -> None:
    rows = rooted(2, 7)
    whole, parts = module(), module()
    for _ in range(3):
        whole.begin_update(micro_batch=True)
        of_whole = whole(legal_of(rows))
        for start, stop in ((0, 2), (2, 3), (3, 7)):
            parts.begin_update(micro_batch=start == 0)
            torch.testing.assert_close(parts(legal_of(rows[start:stop])), of_whole)
    assert float(of_whole) != 1.5
    torch.testing.assert_close(parts.sums, whole.sums)


def test_evaluation_updates_nothing() -> None:
    trained = module()
    trained(legal_of(rooted(3, 4)))
    before = {name: buffer.clone() for name, buffer in trained.state_dict().items()}
    assert trained.eval()(legal_of(rooted(4, 4))) == before["temperature"]
    for name, buffer in trained.state_dict().items():
        assert torch.equal(buffer, before[name])


def test_state_survives_saving_inside_a_micro_batch() -> None:
    kept, resumed = module(), module()
    kept(legal_of(rooted(5, 4)))
    resumed.load_state_dict(kept.state_dict())
    after = legal_of(rooted(6, 4))
    assert resumed(after) == kept(after) != 1.5


def test_what_was_given_does_not_change_later() -> None:
    follows = module()
    given_first = follows(legal_of(rooted(7, 4)))
    follows(legal_of(rooted(8, 4)))
    assert float(given_first) == 1.5


TWO_PROCESSES = """
import sys, torch
from beamwise.objectives.adaptive_temperature import AdaptiveTemperature
from beamwise.testing.legal_steps import legal_scores
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", f"file://{sys.argv[2]}", world_size=2, rank=rank)
rows = [[[5.0, 1.0, 2.0]], [[3.0, 2.0, 0.0]], [[4.0, 3.0, 1.0]]]
options = dict(initial=1.5, lowest=0.01, highest=99.0, smoothing=0.5, eta=1.0)
shared, alone = AdaptiveTemperature(**options), AdaptiveTemperature(**options)
mine = legal_scores(rows[:2] if rank else rows[2:]).legal
shared(mine), shared(mine)
found = shared.temperature
torch.distributed.destroy_process_group()
whole = legal_scores(rows).legal
alone(whole), alone(whole)
torch.testing.assert_close(found, alone.temperature)
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


def test_a_forced_beginning_is_passed_over() -> None:
    # A quotation mark, then 5 against 1 and 3; a later choice does not count, nor does no choice.
    legal = legal_of([[[7], [5, 1, 3], [9, 0]], [[7], [4]]])
    gaps, variances = first_step_moments(legal)
    assert gaps.tolist() == [3, 0]
    assert variances.tolist() == [1, 0]
    found = module()
    found(legal)
    assert found.sums.tolist() == [3, 1, 3 + 1, 2]
