"""Reductions over segments against a loop over them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise._segments import segment_kth_largest, segment_logsumexp, segment_sum

VALUES = st.floats(-800, 800, allow_subnormal=False)
SEGMENTS = st.lists(st.lists(VALUES, max_size=5), min_size=1, max_size=6).filter(any)


def flat(segments: list[list[float]], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor([value for segment in segments for value in segment], dtype=dtype)


def counts_of(segments: list[list[float]]) -> torch.Tensor:
    return torch.tensor([len(segment) for segment in segments])


def kth(segments: list[list[float]], k: list[int], dtype: torch.dtype) -> torch.Tensor:
    counts = counts_of(segments)
    owner = torch.arange(len(segments)).repeat_interleave(counts)
    return segment_kth_largest(flat(segments, dtype), counts, owner, torch.tensor(k))


@settings(deadline=None)
@given(segments=SEGMENTS)
def test_logsumexp_and_sum_are_those_of_each_segment(segments) -> None:
    values = flat(segments).requires_grad_()
    counts = counts_of(segments)
    parts = values.split(counts.tolist())
    factors = torch.linspace(0.5, 2.0, len(segments), dtype=torch.float64)
    for found, whole in (
        (segment_logsumexp(values, counts), torch.logsumexp),
        (segment_sum(values, counts), torch.sum),
    ):
        expected = torch.stack([whole(part, dim=0) for part in parts])
        torch.testing.assert_close(found, expected)
        full = counts > 0
        (gradient,) = torch.autograd.grad((found * factors)[full].sum(), values)
        (naive,) = torch.autograd.grad((expected * factors)[full].sum(), values)
        torch.testing.assert_close(gradient, naive)


def test_logsumexp_where_a_segment_is_empty() -> None:
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    found = segment_logsumexp(values, torch.tensor([0, 2, 0]))
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        found.masked_fill(torch.tensor([True, False, True]), 0.0).sum().backward()
    assert found[0] == found[2] == -math.inf
    assert values.grad is not None
    torch.testing.assert_close(values.grad, torch.tensor([1.0, 2.0]).softmax(0))


def test_logsumexp_of_minus_infinity() -> None:
    found = segment_logsumexp(torch.tensor([-math.inf, 2.0]), torch.tensor([2]))
    torch.testing.assert_close(found, torch.tensor([2.0]))
    mixed = torch.tensor([-math.inf, 2.0, 2.0], requires_grad=True)
    segment_logsumexp(mixed, torch.tensor([3])).sum().backward()
    assert mixed.grad is not None
    assert mixed.grad.tolist() == [0.0, 0.5, 0.5]


def test_nothing_at_all() -> None:
    none = torch.zeros(0)
    assert segment_logsumexp(none, torch.zeros(0, dtype=torch.int64)).tolist() == []
    assert segment_logsumexp(none, torch.zeros(2, dtype=torch.int64)).tolist() == [-math.inf] * 2


@settings(deadline=None)
@given(segments=SEGMENTS, k=st.integers(1, 6), double=st.booleans())
def test_kth_largest_is_that_of_each_sorted(segments, k: int, double: bool) -> None:
    dtype = torch.float64 if double else torch.float32
    ks = [min(k, len(segment)) for segment in segments]
    expected = [
        sorted(segment, reverse=True)[j - 1] if segment else 0.0
        for segment, j in zip(segments, ks, strict=True)
    ]
    assert torch.equal(kth(segments, ks, dtype), torch.tensor(expected, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kth_largest_of_ties_signs_and_infinity(dtype: torch.dtype) -> None:
    segments = [[2.0, 3.0, 2.0, 2.0], [-1e-30, 1e-30, -math.inf, -3e38], [], [-5.0, math.inf]]
    assert kth(segments, [1, 1, 0, 1], dtype).tolist() == pytest.approx([3, 1e-30, 0, math.inf])
    assert kth(segments, [2, 2, 0, 2], dtype).tolist() == pytest.approx([2, -1e-30, 0, -5])
    assert kth(segments, [4, 4, 7, 2], dtype).tolist() == [2, -math.inf, 0, -5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kth_largest_has_no_gradient_and_shows_a_nan(dtype: torch.dtype) -> None:
    values = torch.tensor([1.0, math.nan, 0.0], dtype=dtype, requires_grad=True)
    owner = torch.zeros(3, dtype=torch.int64)
    found = segment_kth_largest(values, torch.tensor([3]), owner, torch.tensor([1]))
    assert not found.requires_grad
    assert found.isnan().all()
