"""Pruning of flat prefixes."""

from __future__ import annotations

import math

import torch

from beamwise.decoding.levels import Prefixes, Steps, keep_best, living


def prefixes(rows: list[int], log_probs: list[float]) -> Prefixes:
    number = torch.arange(len(rows))
    scores = torch.tensor(log_probs)
    return Prefixes(torch.tensor(rows, dtype=torch.int64), number, number, number, scores)


def test_golden_keep_best():  # Row 0 ties at -2: the lower node lives on. Row 2 has room.
    given_prefixes = prefixes([0, 0, 0, 0, 2, 2], [-3.0, -2.0, -1.0, -2.0, -9.0, -8.0])
    kept, best_dropped = keep_best(given_prefixes, num_rows=3, beam_width=2)
    assert kept.nodes.tolist() == [1, 2, 4, 5]
    assert kept.rows.tolist() == [0, 0, 2, 2]
    assert best_dropped.tolist() == [-2.0, -math.inf, -math.inf]


def test_golden_living_by_row():  # Row 0 may keep two of -3, -1, -1, row 1 one of -2, -2.
    rows, scores = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([-3.0, -1.0, -1.0, -2.0, -2.0])
    lives, best_dropped = living(rows, scores, 3, torch.tensor([2, 1, 1]))
    assert lives is not None
    assert lives.tolist() == [False, True, True, True, False]
    assert best_dropped.tolist() == [-3.0, -2.0, -math.inf]
    assert living(rows, scores, 3, torch.tensor([3, 3, 3]))[0] is None


def test_steps_of_several_parts_are_joined():
    def part(owner: list[int]) -> Steps:
        numbers = torch.tensor(owner)
        return Steps(numbers, numbers, numbers, numbers.double())

    joined = Steps.joined([part([0, 0, 1]), part([1])], [3, 2])  # the last of three has no edge
    assert joined.owner.tolist() == [0, 0, 1, 4]
    assert joined.tokens.tolist() == [0, 0, 1, 1]


def test_prefixes_are_chosen_by_a_mask_or_by_position():
    some = prefixes([0, 0, 1], [-1.0, -2.0, -3.0])
    masked = some.where(torch.tensor([True, False, True]))
    assert masked.log_probs.tolist() == [-1.0, -3.0]
    placed = some.where(torch.tensor([2, 0, 0]))
    assert (placed.rows.tolist(), placed.log_probs.tolist()) == ([1, 0, 0], [-3.0, -1.0, -1.0])


def test_keep_best_without_pruning():
    kept, best_dropped = keep_best(prefixes([1], [-1.0]), num_rows=2, beam_width=1)
    assert kept.nodes.tolist() == [0]
    assert best_dropped.tolist() == [-math.inf, -math.inf]
    assert len(keep_best(prefixes([], []), num_rows=1, beam_width=1).kept.rows) == 0
