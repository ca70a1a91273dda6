"""Real searches are timed on users spread over all, and checked against the simulation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.decoding import exact_ranking, full_sort
from beamwise.evaluation import survival_times
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.evaluation.survival_times import search_times, spread_evenly
from beamwise.testing.survival_example import random_windows
from beamwise.testing.table_backbone import TableBackbone

CODES = torch.randint(0, 4, (20, 3), generator=torch.Generator().manual_seed(0))
CATALOG = Catalog.from_codes(CODES, codebook_size=4)
CONFIG = SurvivalConfig(ks=(2,), beam_width=3, timed_users=4)


def times(config=CONFIG, num_rows=10):
    backbone = TableBackbone(CATALOG.vocab_size)
    windows, rows = random_windows(20, 10), torch.arange(num_rows)
    return search_times(backbone, windows, rows, CATALOG, config, (1, 3))


def test_every_search_is_timed_and_agrees():
    found = times()
    assert list(found) == ["1", "3", "exact"]
    for time in found.values():
        assert (time.users, time.agreeing) == (4, 4)
        assert time.seconds > 0


def test_a_full_sort_is_timed_where_that_is_asked_for(monkeypatch):
    asked = CONFIG.model_copy(update={"full_sort_users": 3})
    found = times(asked)
    assert list(found) == ["1", "3", "exact", "full sort", "beam on full sort users"]
    for name in ("full sort", "beam on full sort users"):
        assert (found[name].users, found[name].agreeing) == (3, 3)
        assert found[name].seconds > 0
        assert times(asked, num_rows=0)[name].users == 0

    def worst(*arguments):
        result = full_sort(*arguments)
        return replace(result, leaves=torch.zeros_like(result.leaves))

    monkeypatch.setattr(survival_times, "full_sort", worst)
    assert times(asked)["full sort"].agreeing == 0


def test_a_search_that_returns_something_else_is_counted(monkeypatch):
    real = survival_times.beam_search

    def narrower(backbone, histories, catalog, width, top_k, mask):
        return real(backbone, histories.flip(0), catalog, width, top_k, mask)

    monkeypatch.setattr(survival_times, "beam_search", narrower)
    found = times()
    assert found["1"].agreeing < 4
    assert found["exact"].agreeing == 4


def test_the_exact_ranking_is_timed_whatever_its_proof_takes(monkeypatch):
    # One prefix a user proves nothing here: a bounded search would return other leaves.
    bounded = partial(exact_ranking, max_prefixes=1)
    monkeypatch.setattr(survival_times, "exact_ranking", bounded)
    assert times()["exact"].agreeing == 4


@pytest.mark.parametrize(
    ("count", "total", "chosen"),
    [
        (4, 10, [0, 2, 5, 7]),
        (3, 5, [0, 1, 3]),  # a step of 5 // 3 would leave out the last two
        (9, 4, [0, 1, 2, 3]),
    ],
)
def test_spread_evenly(count, total, chosen):
    assert spread_evenly(count, total).tolist() == chosen


def test_timed_users_are_spread_over_all(monkeypatch):
    windows, searched = random_windows(20, 7), []
    real = survival_times.beam_search

    def noting(backbone, histories, *others):
        searched.append(histories)
        return real(backbone, histories, *others)

    monkeypatch.setattr(survival_times, "beam_search", noting)
    backbone = TableBackbone(CATALOG.vocab_size)
    search_times(backbone, windows, torch.arange(7), CATALOG, CONFIG, (3,))
    assert searched[0].equal(windows.histories(torch.tensor([0, 1, 3, 5])))


def test_the_beam_beside_a_full_sort_is_of_the_same_users(monkeypatch):
    searched = {"beam": [], "sort": []}
    beam, sort = survival_times.beam_search, survival_times.full_sort

    def noted(name, search):
        def noting(backbone, histories, *others):
            searched[name].append((histories, others[1]))
            return search(backbone, histories, *others)

        return noting

    monkeypatch.setattr(survival_times, "beam_search", noted("beam", beam))
    monkeypatch.setattr(survival_times, "full_sort", noted("sort", sort))
    times(CONFIG.model_copy(update={"full_sort_users": 2}))
    (histories, _), *_ = searched["sort"]
    same, width = searched["beam"][-1]
    assert len(histories) == 2
    assert same.equal(histories)
    assert width == CONFIG.beam_width


def test_a_beam_beside_a_full_sort_that_returns_something_else_is_counted(monkeypatch):
    real = survival_times.beam_search

    def other(backbone, histories, catalog, width, top_k, mask):
        users = histories.flip(0) if len(histories) == 2 else histories
        return real(backbone, users, catalog, width, top_k, mask)

    monkeypatch.setattr(survival_times, "beam_search", other)
    found = times(CONFIG.model_copy(update={"full_sort_users": 2}))
    assert found["3"].agreeing == 4
    assert found["beam on full sort users"].agreeing < 2
