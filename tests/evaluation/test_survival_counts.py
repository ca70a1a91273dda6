"""Counts add up; settings that cannot be measured are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.config import ConfigError, parse_config
from beamwise.evaluation import survival_counts
from beamwise.evaluation.survival import SurvivalCounts
from beamwise.evaluation.survival_counts import SearchTime, SurvivalConfig, WidthCounts, added

CATALOG = Catalog.from_codes(torch.cartesian_prod(*[torch.arange(5)] * 2), codebook_size=5)
COUNTS = WidthCounts(
    width=3,
    outcomes=SurvivalCounts(found=2, pruned=1, outscored=1, best_leaves=12, retained_leaves=9),
    kept_targets=(3, 2),
    kept_leaves=(10, 9),
    pruned_at=(1, 0),
    outscored_at=(0, 1),
    within=3,
    within_pruned=1,
    within_pruned_by_token=1,
    exact=2,
    prefixes=16,
    metrics={"recall@3": 2.0},
)


def test_counts_add_up():
    total = COUNTS + replace(COUNTS, kept_targets=(1, 0), metrics={"recall@3": 1.0})
    assert total.width == 3
    assert total.outcomes == COUNTS.outcomes + COUNTS.outcomes
    assert total.kept_targets == (4, 2)
    assert total.metrics == {"recall@3": 3.0}
    assert total.within == 6


def test_shares():
    assert COUNTS.mean("recall@3") == 0.5
    assert COUNTS.mean("recall@5") is None
    assert COUNTS.shares(COUNTS.kept_targets) == [0.75, 0.5]
    assert COUNTS.retention == 9 / 12


def test_other_widths_do_not_add_up():
    with pytest.raises(ValueError, match="widths 3 and 4 do not add up"):
        COUNTS + replace(COUNTS, width=4)


def test_times_add_up():
    total = SearchTime(1.0, 10, 9) + SearchTime(2.0, 20, 20)
    assert (total.seconds, total.users, total.agreeing) == (3.0, 30, 29)
    assert total.milliseconds == 100


def test_sums_of_mappings_and_tuples():
    assert added({"a": 1}, {"a": 2}) == {"a": 3}
    assert added((1, 2), (3, 4)) == (4, 6)


def test_widths_are_those_that_the_catalog_can_fill():
    config = SurvivalConfig(ks=(2,), beam_width=7, widths=(5, 10, 50))
    assert config.widths_for(CATALOG) == (5, 7, 10)  # of 25 leaves


def test_a_beam_wider_than_the_catalog_is_refused():
    with pytest.raises(ValueError, match=r"beam_width must be in 1..25.*got 30: narrow the beam"):
        SurvivalConfig(beam_width=30).widths_for(CATALOG)


def test_a_catalog_too_large_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(survival_counts, "MOST_NODES", 30)  # it has 31
    with pytest.raises(ValueError, match=r"has 31 prefixes.*at most 30: .*--full-sort"):
        SurvivalConfig().widths_for(CATALOG)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"beam_width": 0}, "beam_width"),
        ({"beam_width": 10}, "ks must be ascending and within 1..beam_width=10"),
        ({"widths": (10, 5)}, "widths must be ascending"),
        ({"tolerance": 0}, "tolerance"),
    ],
)
def test_bad_settings_are_refused(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        parse_config(SurvivalConfig, settings, "test")
