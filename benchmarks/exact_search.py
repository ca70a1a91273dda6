"""Exact search and full sort: prefixes, processor time, equality, and what exactness is worth."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from harness import compare_times, emit, emit_environment, parser, use_threads
from item_by_item import ItemByItem
from jaxtyping import Int64
from searched_model import Model
from torch import Tensor
from workload import SEED, Sizes

from beamwise.decoding import SearchResult, beam_search, exact_search, full_sort
from beamwise.evaluation.metrics import leaf_ranks, ndcg, recall

Histories = Int64[Tensor, "batch history"]
Search = Callable[[Histories], SearchResult]
TOP_K = 20
SEARCHES = ("beam", "exact", "full sort")
MOST_PREFIXES_OF_BEAM, MOST_PREFIXES_OF_FULL_SORT = 4.0, 0.1
"""What exact search may score, as multiples of what the beam and the full sort do."""
MOST_TIME_OF_BEAM = 3.0
LEAST_OF_ITEM_BY_ITEM = 30.0
"""How many times as fast a full sort is to be as scoring items one by one."""
TOLERANCE = 1e-4
"""Nats by which the same leaf may score in searches that compute it beside other leaves."""


def searches(model: Model) -> dict[str, Search]:
    """The three, for the same number of results."""
    backbone, catalog, mask = model.backbone, model.catalog, model.mask
    return {
        "beam": lambda users: beam_search(backbone, users, catalog, TOP_K, TOP_K, mask),
        "exact": lambda users: exact_search(backbone, users, catalog, TOP_K, mask),
        "full sort": lambda users: full_sort(backbone, users, catalog, TOP_K, mask),
    }


def drawn(model: Model, count: int) -> Histories:
    """Histories of random test users, the same for all models of one data set."""
    test = model.data.test
    generator = torch.Generator().manual_seed(SEED)
    return test.histories(torch.randperm(len(test), generator=generator)[:count])


def measure_quality(
    model: Model, batch_size: int, most: int | None, names: Sequence[str] = SEARCHES
) -> None:
    """Recall and NDCG under each search, work, and whether exact search is the full sort."""
    data, catalog = model.data, model.catalog
    rows = torch.arange(len(data.test))[:most]
    order = data.test.history_lengths[rows].argsort(stable=True)
    targets = catalog.leaf_of_item[data.test.targets(rows)].long()
    found: dict[str, SearchResult] = {}
    for name in names:
        search = searches(model)[name]
        seconds = time.process_time()
        parts = [search(data.test.histories(rows[some])) for some in order.split(batch_size)]
        seconds = time.process_time() - seconds
        found[name] = SearchResult.joined(parts).rows(order.argsort())
        ranks = leaf_ranks(found[name].leaves, targets)
        emit(
            "quality",
            run=model.name,
            search=name,
            mask=model.mask,
            users=len(rows),
            cpu_ms_a_user=round(1000 * seconds / len(rows), 3),
            **{f"recall@{k}": round(float(recall(ranks, k).mean()), 5) for k in (10, TOP_K)},
            **{f"ndcg@{k}": round(float(ndcg(ranks, k).mean()), 5) for k in (10, TOP_K)},
            proved_exact=round(float(found[name].exact.double().mean()), 5),
            prefixes=_distribution(found[name].num_scored),
        )
    if "full sort" in found:
        _compare_results(model, found)


def _compare_results(model: Model, found: Mapping[str, SearchResult]) -> None:
    """Print whether exact search returned the full sort's leaves, and what it scored.

    Raises:
        RuntimeError: If it did not, but for leaves that tie within rounding.
    """
    exact, every = found["exact"], found["full sort"]
    gap = float((exact.leaf_log_probs - every.leaf_log_probs).abs().nan_to_num(0).max())
    swapped = exact.leaves != every.leaves
    equal = gap <= TOLERANCE and bool(exact.exact.all())
    emit(
        "check",
        benchmark=f"{model.name}: exact search is the full sort",
        users=len(exact.leaves),
        users_with_the_same_leaves_in_the_same_order=int((~swapped.any(dim=1)).sum()),
        users_with_the_same_leaves=_same_sets(exact.leaves, every.leaves),
        largest_score_difference=gap,
        tolerance=TOLERANCE,
        equal=equal,
    )
    of = {name: float(each.num_scored.double().mean()) for name, each in found.items()}
    for other, limit in (
        ("beam", MOST_PREFIXES_OF_BEAM), ("full sort", MOST_PREFIXES_OF_FULL_SORT)
    ):  # fmt: skip
        ratio = of["exact"] / of[other]
        emit(
            "comparison",
            benchmark=f"{model.name}: prefixes of exact search, to those of the {other}",
            ours=round(of["exact"], 1),
            alternative=round(of[other], 1),
            unit="prefixes a user",
            ratio=round(ratio, 4),
            limit=limit,
            met=ratio <= limit,
        )
    if not equal:
        raise RuntimeError("exact search does not find what the full sort finds")


def measure_time(model: Model, users: int, repeats: int) -> None:
    """Processor time of the three searches, taking turns."""
    histories = drawn(model, users)
    rates: dict[str, list[float]] = {name: [] for name in SEARCHES}
    for turn in range(repeats + 1):
        for name, search in searches(model).items():
            begin = time.process_time()
            search(histories)
            if turn > 0:  # the first round is a warm-up
                rates[name].append(len(histories) / (time.process_time() - begin))
    unit = {"unit": "ms of processor time a user", "users": len(histories)}
    for other, limit in (("beam", MOST_TIME_OF_BEAM), ("full sort", None)):
        compare_times(
            f"{model.name}: time of exact search, to that of the {other}",
            rates["exact"],
            rates[other],
            limit=limit,
            **unit,
        )


def measure_item_by_item(model: Model, users: int) -> None:
    """The full sort beside `transformers` with one row an item, on the same weights."""
    histories = drawn(model, users)
    alternative = ItemByItem(model.backbone, model.catalog)
    mine, theirs, gap = [], [], 0.0
    for history in histories.split(1):
        begin = time.process_time()
        best = searches(model)["full sort"](history)
        between = time.process_time()
        log_probs = alternative.log_probs(history, model.mask)
        theirs.append(time.process_time() - between)
        mine.append(between - begin)
        gap = max(gap, float((log_probs[best.leaves[0]] - best.leaf_log_probs[0]).abs().max()))
    ratio = sum(theirs) / sum(mine)  # histories differ in length: what all users together take
    emit(
        "comparison",
        benchmark=f"{model.name}: full sort beside transformers, one row an item",
        ours=round(1000 * statistics.fmean(mine), 2),
        alternative=round(1000 * statistics.fmean(theirs), 2),
        unit="ms of processor time a user",
        ratio=round(ratio, 1),
        target=LEAST_OF_ITEM_BY_ITEM,
        met=ratio >= LEAST_OF_ITEM_BY_ITEM,
        users=len(mine),
        largest_score_difference=gap,
    )
    if gap > TOLERANCE:
        raise RuntimeError(f"the two sides score items differently, by up to {gap} nats")


def _distribution(counts: Int64[Tensor, " users"]) -> dict[str, float]:
    return {
        "mean": round(float(counts.double().mean()), 1),
        "median": int(counts.median()),
        "max": int(counts.max()),
    }


def _same_sets(one: Int64[Tensor, "users k"], other: Int64[Tensor, "users k"]) -> int:
    ordered = (leaves.sort(dim=1).values for leaves in (one, other))
    return int(torch.eq(*ordered).all(dim=1).sum())


def models(chosen: argparse.Namespace, sizes: Sizes) -> Iterator[Model]:
    """The run folders asked for, else a model after some steps of cross-entropy."""
    for folder in chosen.run or ():
        yield Model.of_run(folder)
    if not chosen.run:
        yield Model.after_steps(chosen.data, sizes, chosen.backbone, chosen.train_steps)


def options() -> argparse.ArgumentParser:
    """The command line."""
    described = parser("Exact search and full sort beside beam search, on test users.")
    described.add_argument("--run", type=Path, nargs="+", help="run folders to measure")
    described.add_argument("--users", type=int, help="users of the quality, default all")
    described.add_argument("--timed-users", type=int, default=128, help="default 128")
    described.add_argument("--item-by-item-users", type=int, default=16, help="default 16")
    described.add_argument(
        "--quality-only",
        action="store_true",
        help="recall and NDCG of beam and exact search: no full sort, which takes minutes",
    )
    described.add_argument("--batch-size", type=int, default=512, help="default 512")
    described.add_argument("--train-steps", type=int, default=300, help="without --run; 300")
    described.add_argument("--backbone", choices=("tiger", "llama"), default="tiger")
    return described


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> None:
    """Measure what the command line asks for."""
    chosen = options().parse_args(arguments)
    use_threads(chosen.threads)
    emit_environment()
    for model in models(chosen, sizes or Sizes()):
        if chosen.quality_only:
            measure_quality(model, chosen.batch_size, chosen.users, SEARCHES[:2])
            continue
        measure_time(model, chosen.timed_users, chosen.repeats)
        measure_item_by_item(model, chosen.item_by_item_users)
        measure_quality(model, chosen.batch_size, chosen.users)


if __name__ == "__main__":
    main()
