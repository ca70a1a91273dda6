"""Exact ranking: an exact search, and the full sort for whom it does not fit."""

from __future__ import annotations

from dataclasses import fields

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.decoding import SearchResult, exact_ranking, exact_search, full_sort
from beamwise.testing.random_search import random_search


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), max_prefixes=st.integers(1, 40))
def test_is_exact_for_everybody(seed, max_prefixes):
    s = random_search(seed, unseen=True)
    asked = (s.backbone, s.histories, s.catalog, s.top_k, s.mask, s.eligible)
    found = exact_ranking(*asked, max_prefixes=max_prefixes)
    every = full_sort(*asked)
    for field in fields(SearchResult):
        if field.name != "num_scored":
            torch.testing.assert_close(getattr(found, field.name), getattr(every, field.name))
    tried = exact_search(*asked, max_prefixes=max_prefixes)
    spent = tried.num_scored + every.num_scored.masked_fill(tried.exact, 0)
    assert torch.equal(found.num_scored, spent)
