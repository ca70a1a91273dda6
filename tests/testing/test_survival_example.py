"""The example that reports are tested with has something of everything to show."""

from __future__ import annotations

import torch

from beamwise.testing.survival_example import EXAMPLE_SETTINGS, example_survival, random_windows


def test_users_have_three_items_before_the_target() -> None:
    windows = random_windows(num_items=9, num_users=5)
    every = torch.arange(len(windows))
    assert len(windows) == 5
    assert (windows.histories(every) >= 0).sum(1).tolist() == [3] * 5
    assert int(windows.targets(every).max()) < 9


def test_what_was_found_and_what_was_missed_are_in_it() -> None:
    survival = example_survival()
    outcomes = survival.beam.outcomes
    assert survival.users == outcomes.users == 60
    assert min(outcomes.found, outcomes.promoted, outcomes.outscored) > 0
    assert [each.width for each in survival.widths] == list(EXAMPLE_SETTINGS.widths)
