"""Levels that a survival report tells of, by hand, and what they are for on any tree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.evaluation import survival_levels
from beamwise.evaluation.survival_counts import SurvivalConfig, num_prefixes_scored
from beamwise.evaluation.survival_levels import ToldLevel, told_levels
from beamwise.evaluation.survival_measure import measure_survival
from beamwise.testing.run_choice import along_runs
from beamwise.testing.survival_example import random_windows
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_titles

# Titles that begin with 9; three ways part at the second token, two of the first way at the fifth.
TITLES = Catalog.from_tokens(
    [
        [9, 2, 2, 2, 3, 3, 3, 3, 3],
        [9, 2, 2, 2, 4, 3, 3, 3, 3],
        [9, 5, 5, 5, 5, 5, 5, 5, 5],
        [9, 6, 6, 6, 6, 6, 6, 6, 6],
    ],
    lengths=[9] * 4,
)


def test_golden():
    # A beam of 2 loses something at token 2, of three, and at token 5, of four; one of 3 at 5.
    assert told_levels(TITLES, 2) == (
        ToldLevel(2, 4, "2"),
        ToldLevel(5, 9, "5"),
        ToldLevel(10, 10, "items"),
    )
    assert told_levels(TITLES, 3) == (ToldLevel(5, 9, "5"), ToldLevel(10, 10, "items"))
    assert told_levels(TITLES, 4) == (ToldLevel(10, 10, "items"),)


def test_what_few_items_have_or_comes_late_is_told_with_the_level_before(monkeypatch):
    monkeypatch.setattr(survival_levels, "FEWEST_ITEMS", 0.6)  # of four items, two part at token 5
    together = (ToldLevel(2, 9, "2-5"), ToldLevel(10, 10, "items"))
    assert told_levels(TITLES, 2) == together
    monkeypatch.undo()
    monkeypatch.setattr(survival_levels, "MOST_LEVELS", 2)
    assert told_levels(TITLES, 2) == together


def test_semantic_ids_have_every_level():
    catalog = Catalog.from_codes(torch.tensor([[0, 0], [0, 1]]), 2)
    assert told_levels(catalog, 1) == (ToldLevel(1, 1, "1"), ToldLevel(2, 2, "2"))


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), num_words=st.integers(2, 8))
def test_every_loss_is_told_of_where_it_happens(seed, num_words):
    catalog = random_titles(seed, 25, num_words)
    config = SurvivalConfig(ks=(2,), beam_width=2, widths=(2, 4), timed_users=1)
    backbone = TableBackbone(catalog.vocab_size, seed)
    with along_runs():
        if catalog.num_leaves < 4:
            return
        survival = measure_survival(backbone, random_windows(25, 12, seed), catalog, config)
    told = survival.told_levels
    assert [level.last for level in told] == [
        *(later.number - 1 for later in told[1:]), catalog.num_levels,
    ]  # fmt: skip
    columns = [name for name in survival.per_user.columns if name.startswith("rank_")]
    assert columns == [f"rank_{level.number}" for level in told]
    lost = survival.per_user.filter(~survival.per_user["returned"])["lost_at"].to_list()
    for level in lost:  # a beam of 2 loses at levels that are told of, in ranges by their name
        named = [each for each in told if level <= each.last]
        assert level == named[0].number or "-" in named[0].name or level == catalog.num_levels
    for counts in survival.widths:
        by_level = survival.by_level(counts)
        assert sum(each.pruned for each in by_level) == sum(counts.pruned_at)
        assert by_level[-1].kept_leaves == counts.kept_leaves[-1]


@pytest.mark.parametrize(
    ("mask", "prefixes"), [("after", 1 + 1 + 3 + 3 + 3 + 5 * 4), ("before", 5)]
)
def test_prefixes_that_a_model_computes(mask, prefixes):
    # After: all but the four items. Before: the root, 9, and 9 2, 9 2 2, 9 2 2 2.
    assert num_prefixes_scored(TITLES, mask) == prefixes


def test_semantic_ids_are_computed_whole_under_either_mask():
    catalog = Catalog.from_codes(torch.tensor([[0, 0], [0, 1], [1, 0]]), 2)
    assert [num_prefixes_scored(catalog, mask) for mask in ("after", "before")] == [3, 3]
