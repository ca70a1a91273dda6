"""The naive decoder on a catalog small enough to work by hand."""

from __future__ import annotations

import math

import pytest

from beamwise.testing.brute_force import BruteForce

PATHS = [(2, 4), (2, 5), (3, 4), (3, 5), (3, 4)]
PROBABILITIES = {(): [0.2, 0, 0.5, 0.3, 0, 0], (2,): [0.4, 0, 0, 0, 0.3, 0.3]}
PROBABILITIES[(3,)] = [0, 0, 0, 0, 0.9, 0.1]


def logits(prefix: tuple[int, ...]) -> list[float]:
    return [math.log(p) if p else -math.inf for p in PROBABILITIES[prefix]]


def test_golden_full_sort():  # .5 x .3 twice, .3 x .9 (items 2 and 4), .3 x .1
    ranking = BruteForce(PATHS, logits).full_sort(4)
    assert ranking.leaves == [2, 0, 1, 3]
    assert ranking.items == [2, 4, 0, 1]
    assert ranking.log_probs == pytest.approx([math.log(p) for p in (0.27, 0.27, 0.15, 0.15)])
    assert ranking.exact


def test_golden_beam():  # Width 1 drops prefix 3 (.3), which is above the second leaf (.15).
    ranking = BruteForce(PATHS, logits).beam_search([1, 2], 2)
    assert ranking.leaves == [0, 1]
    assert not ranking.exact
    assert BruteForce(PATHS, logits).beam_search([2, 2], 2).items == [2, 4]


def test_golden_before_and_eligible():  # Legal: 5/8 and 3/8; item 3 alone may be returned.
    search = BruteForce(PATHS, logits, "before", [False, False, False, True, False])
    ranking = search.beam_search([1, 1], 1)
    assert ranking.items == [3]
    assert ranking.exact
    assert math.exp(ranking.log_probs[0]) == pytest.approx(0.0375)
