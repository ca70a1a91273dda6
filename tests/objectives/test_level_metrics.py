"""Means of what counts, by level."""

from __future__ import annotations

import torch

from beamwise.objectives.level_metrics import by_level, level_means, masked_mean

VALUES = torch.tensor([[1.0, -torch.inf, 5.0], [3.0, 7.0, 9.0]], requires_grad=True)
WHERE = torch.tensor([[True, False, False], [True, True, False]])


def test_golden() -> None:  # (1 + 3) / 2, 7 / 1, and nothing; over all (1 + 3 + 7) / 3
    means = level_means("loss", VALUES, WHERE)
    assert {name: float(value) for name, value in means.items()} == {
        "loss_1": 2.0,
        "loss_2": 7.0,
        "loss_3": 0.0,
    }
    assert not any(means[f"loss_{m}"].total.requires_grad for m in (1, 2, 3))
    torch.testing.assert_close(masked_mean(VALUES, WHERE).value, torch.tensor(11 / 3))


def test_the_mean_of_a_boolean_is_a_share() -> None:
    flags = torch.tensor([[True, True, True], [False, True, True]])
    shares = level_means("share", flags, WHERE)
    assert [float(value) for value in shares.values()] == [0.5, 1.0, 0.0]


def test_names_count_from_one() -> None:
    assert by_level("weight", torch.tensor([0.25, 0.75])) == {"weight_1": 0.25, "weight_2": 0.75}
