"""Real searches for some users: how long they take, and whether they return what was simulated."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.decoding import (
    SearchResult,
    beam_search,
    exact_ranking,
    full_sort,
    node_log_probs,
)
from beamwise.evaluation.processes import gather, place
from beamwise.evaluation.survival_counts import SearchTime, SurvivalConfig
from beamwise.evaluation.survival_tree import ScoredTree
from beamwise.sequences.windows import Windows

EXACT = "exact"
"""Stands for the exact ranking among widths."""
FULL_SORT = "full sort"
"""Stands for it among widths, where it is timed."""
SORTED_BEAM = "beam on full sort users"
"""Stands for the beam in question on the users of the full sort, so that the two compare."""
ROUNDS = 2
"""Times that every search is run; the quickest counts."""

Search = Callable[[], SearchResult]


def search_times(
    backbone: Backbone,
    windows: Windows,
    rows: Int64[Tensor, " rows"],
    catalog: Catalog,
    config: SurvivalConfig,
    widths: Sequence[int],
) -> dict[str, SearchTime]:
    """Time a beam of every width and the exact ranking, by width or "exact".

    The exact ranking counts with all that its proofs take, a full sort where they take too long.
    Where `full_sort_users` asks for it, a "full sort" is timed with fewer users, and on the same
    ones, in turns with it, the beam of `beam_width`, as "beam on full sort users".
    Users are spread evenly and dealt out to the processes. A first search outside the measurement
    warms caches; then every search is run `ROUNDS` times, in turns.
    """
    rank, num_processes = place()
    mine = rows[spread_evenly(config.timed_users, len(rows))][rank::num_processes]
    names = [*map(str, widths), EXACT]
    if config.full_sort_users:
        names += [FULL_SORT, SORTED_BEAM]
    if len(mine) == 0:
        times = {name: SearchTime() for name in names}
    else:
        histories = windows.histories(mine).to(catalog.device)
        times = _times(backbone, histories, catalog, config, widths)
    gathered = gather(times)
    return {name: sum((each[name] for each in gathered), SearchTime()) for name in times}


def spread_evenly(count: int, total: int) -> Int64[Tensor, " chosen"]:
    """So many of 0..total - 1, ascending and evenly spread; all where there are no more."""
    count = min(count, total)
    return torch.arange(count) * total // count


def _times(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"],
    catalog: Catalog,
    config: SurvivalConfig,
    widths: Sequence[int],
) -> dict[str, SearchTime]:
    searches = {str(width): _beam(backbone, histories, catalog, config, width) for width in widths}
    searches[EXACT] = lambda: exact_ranking(backbone, histories, catalog, config.top_k, config.mask)
    next(iter(searches.values()))()
    seconds, results = _quickest(searches)
    agreeing = _agreeing(backbone, histories, catalog, config, results)
    times = {name: SearchTime(seconds[name], len(histories), agreeing[name]) for name in searches}
    if config.full_sort_users:
        times |= _sort_times(backbone, histories, catalog, config, results[EXACT])
    return times


def _sort_times(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"],
    catalog: Catalog,
    config: SurvivalConfig,
    exact: SearchResult,
) -> dict[str, SearchTime]:
    """A full sort of some of the users, and the beam of the same ones."""
    users = spread_evenly(config.full_sort_users, len(histories)).to(catalog.device)
    few = histories[users]
    searches: dict[str, Search] = {
        FULL_SORT: lambda: full_sort(backbone, few, catalog, config.top_k, config.mask),
        SORTED_BEAM: _beam(backbone, few, catalog, config, config.beam_width),
    }
    seconds, results = _quickest(searches)
    width = str(config.beam_width)
    beam = _agreeing(backbone, few, catalog, config, {width: results[SORTED_BEAM]})[width]
    agreeing = {
        FULL_SORT: _same_leaves(results[FULL_SORT].leaves, exact.leaves[users]),
        SORTED_BEAM: beam,
    }
    return {name: SearchTime(seconds[name], len(users), agreeing[name]) for name in searches}


def _quickest(searches: Mapping[str, Search]) -> tuple[dict[str, float], dict[str, SearchResult]]:
    """Run all in turns, `ROUNDS` times; the least seconds of each, and its result."""
    seconds = dict.fromkeys(searches, float("inf"))
    results: dict[str, SearchResult] = {}
    for _ in range(ROUNDS):
        for name, search in searches.items():
            begin = time.perf_counter()
            results[name] = search()
            results[name].exact.any().item()  # waits for the device
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
    return seconds, results


def _same_leaves(one: Int64[Tensor, "batch k"], other: Int64[Tensor, "batch k"]) -> int:
    """Users with the same set of leaves in both."""
    return int((one.sort(dim=1).values == other.sort(dim=1).values).all(dim=1).sum())


def _beam(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"],
    catalog: Catalog,
    config: SurvivalConfig,
    width: int,
) -> Search:
    top_k = min(width, config.top_k)
    return lambda: beam_search(backbone, histories, catalog, width, top_k, config.mask)


def _agreeing(
    backbone: Backbone,
    histories: Int64[Tensor, "batch history"],
    catalog: Catalog,
    config: SurvivalConfig,
    results: dict[str, SearchResult],
) -> dict[str, int]:
    """Users whose simulated search returns the same set of leaves as the real one."""
    agreeing = dict.fromkeys(results, 0)
    for users in torch.arange(len(histories), device=catalog.device).split(
        config.users_at_once(catalog)
    ):
        scores = node_log_probs(backbone, histories[users], catalog, config.mask)
        tree = ScoredTree(catalog, scores)
        for name, result in results.items():
            lives = None if name == EXACT else tree.beam(int(name)).lives
            simulated, _ = tree.best_leaves(result.leaves.shape[1], lives)
            agreeing[name] += _same_leaves(simulated, result.leaves[users])
    return agreeing
