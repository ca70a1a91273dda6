"""Hold exact search to the full sort and both to brute force, on thousands of random searches."""

from __future__ import annotations

import argparse
import random

import torch
from harness import emit
from torch import Tensor

from beamwise.decoding import SearchResult, beam_search, exact_search, full_sort
from beamwise.testing.random_search import RandomSearch, assert_ranked, random_search
from beamwise.testing.run_choice import step_by_step

LEAST_MOST = (1, 40)
"""Prefixes per user that bounded searches may score."""


def main() -> None:
    """Print one line of counts; stop at the first search that is wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--searches", type=int, default=3000, help="random models and catalogs")
    options.add_argument("--first-seed", type=int, default=0)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    counts = {
        "searches": 0,
        "of_titles": 0,
        "users": 0,
        "users_of_bounded_searches": 0,
        "said_not_exact": 0,
    }
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.searches):
        unseen, titles = seed % 4 == 0, seed % 3 == 0
        search = random_search(seed, unseen=unseen, titles=titles)
        best, bounded = check(search, seed, naive=not unseen)
        counts["searches"] += 1
        counts["of_titles"] += titles
        counts["users"] += len(best.exact)
        counts["users_of_bounded_searches"] += len(bounded.exact)
        counts["said_not_exact"] += int((~bounded.exact).sum())
    emit("check", benchmark="exactness on random models", wrong=0, **counts)


def check(search: RandomSearch, seed: int, *, naive: bool) -> tuple[SearchResult, SearchResult]:
    """The unbounded and the bounded exact search of one problem, after comparing them.

    Raises:
        AssertionError: If one says that it is exact and is not the full sort, the unbounded one
            says that it is not, the full sort is not brute force's, or a search along the forced
            runs of titles is not the same token by token.
    """
    choice = random.Random(seed)
    s = search
    asked = (s.backbone, s.histories, s.catalog, s.top_k, s.mask, s.eligible)
    every = full_sort(*asked)
    assert bool(every.exact.all())
    if naive:
        for user in range(len(s.histories)):
            assert_ranked(every, user, s.brute_force(user).full_sort(s.top_k))
    with step_by_step():
        assert_same_leaves(every, full_sort(*asked))
        beam = beam_search(*asked[:3], s.top_k, s.top_k, s.mask, s.eligible)
    assert_same_leaves(beam_search(*asked[:3], s.top_k, s.top_k, s.mask, s.eligible), beam)
    width, chunk_size = choice.choice((None, 1, 2, 5)), choice.choice((1, 2, 128))
    best = exact_search(*asked, beam_width=width, chunk_size=chunk_size)
    most = choice.randint(*LEAST_MOST)
    bounded = exact_search(*asked, beam_width=width, max_prefixes=most, chunk_size=chunk_size)
    assert bool(best.exact.all()), seed
    assert bool((bounded.num_scored <= most).all()), seed
    for found in (best, bounded):
        for name in ("leaves", "items", "tokens"):
            true = getattr(every, name)[found.exact]
            assert torch.equal(getattr(found, name)[found.exact], true), (seed, name)
        for name in ("leaf_log_probs", "log_probs"):
            true = getattr(every, name)[found.exact]
            assert_same_scores(getattr(found, name)[found.exact], true)
    return best, bounded


def assert_same_leaves(found: SearchResult, expected: SearchResult) -> None:
    """Hold two results to be the same but for the work that they took.

    Raises:
        AssertionError: If they are not.
    """
    for name in ("leaves", "items", "exact"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert_same_scores(found.leaf_log_probs, expected.leaf_log_probs)


def assert_same_scores(found: Tensor, expected: Tensor) -> None:
    """Hold scores to be the same; where nothing was computed they are in fp32.

    Raises:
        AssertionError: If one differs by more than 1e-9 nats.
    """
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=1e-9)


if __name__ == "__main__":
    main()
