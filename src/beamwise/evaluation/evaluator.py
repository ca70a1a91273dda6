"""Rank every window's target with a backbone or a baseline, on all processes, gather metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, eval_mode
from beamwise.catalog import Catalog
from beamwise.decoding import SearchResult, beam_search, exact_ranking
from beamwise.decoding.request import SearchRequest, widths_by_level
from beamwise.evaluation.baselines import Baseline
from beamwise.evaluation.evaluation import BeamWidth, Evaluation, EvaluationConfig
from beamwise.evaluation.metrics import metrics_at, metrics_of_ranks
from beamwise.evaluation.processes import gather, place
from beamwise.evaluation.pruned_targets import (
    PRUNED_AT,
    PRUNED_BY_TOKEN,
    Losses,
    where_pruned,
)
from beamwise.evaluation.survival import SurvivalCounts, count_survival
from beamwise.evaluation.target_ranks import ItemOrder, target_ranks
from beamwise.evaluation.targets import are_retired, leaf_sizes, targets_in
from beamwise.sequences.windows import Windows

_RANKS = ("leaf_rank", "first_item_rank", "item_rank", PRUNED_AT)
"""Columns whose numbers count from 1, so that 0 is no number."""


@dataclass(frozen=True, eq=False)
class _Part:
    """What is kept of one batch: a few numbers per user, none of the results."""

    per_user: pl.DataFrame
    survival: SurvivalCounts


def evaluate_windows(
    backbone: Backbone,
    windows: Windows,
    catalog: Catalog,
    config: EvaluationConfig,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Decode each window's history and rank its target, in eval mode and without gradients.

    Under torch.distributed every process calls this with the same windows and gets the same
    result. Batches are cut before they are dealt out, so the number of processes changes neither
    what is decoded together nor the result.

    Args:
        backbone: The unwrapped module, on the catalog's device; its modes are restored.
        windows: Histories and targets, as indices into the catalog's items.
        catalog: What may be recommended. A target that it has retired counts as not found, also
            where another item of its leaf is.
        config: Search and cutoffs.
        progress: Called after each batch of this process with the number of its users.

    Raises:
        ValueError: If there are no windows, a target is not in the catalog, or the search refuses
            the backbone's logits.
    """

    def decode(rows: Int64[Tensor, " rows"]) -> _Part:
        return _evaluate_batch(backbone, windows, rows, catalog, config)

    with eval_mode(backbone), torch.no_grad():
        whole, seconds = _on_all_processes(decode, windows, config, progress)
    survival = whole.survival if config.full_sort else None
    return Evaluation(_summarise(whole.per_user), whole.per_user, config, survival, seconds)


def evaluate_baseline(
    baseline: Baseline,
    windows: Windows,
    catalog: Catalog,
    config: EvaluationConfig,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Rank each window's target among all items of the catalog by the scores of a baseline.

    Counted as a model's results are, with one difference: a baseline can tell the items of a leaf
    apart, so by item the target counts at its own rank, and by ID its leaf counts at its best item.
    Processes are as in `evaluate_windows`.

    Args:
        baseline: Made for this catalog's items.
        windows: As in `evaluate_windows`.
        catalog: What may be recommended: all but retired items, those of the history too.
        config: Cutoffs and users at once; there is no search whose settings could matter.
        progress: As in `evaluate_windows`.

    Raises:
        ValueError: If there are no windows, or a target is not in the catalog.
    """
    retired = None if catalog.retired is None else catalog.retired.cpu().numpy()
    order = ItemOrder(baseline.places, catalog.leaf_of_item.cpu().numpy(), retired)

    def rank(rows: Int64[Tensor, " rows"]) -> _Part:
        return _rank_batch(baseline, windows, rows, catalog, order, config.ks)

    config = config.model_copy(update={"full_sort": False})
    whole, seconds = _on_all_processes(rank, windows, config, progress)
    summary = _summarise(whole.per_user)
    return Evaluation(summary, whole.per_user, config, None, seconds, baseline.config)


def _on_all_processes(
    evaluate_batch: Callable[[Tensor], _Part],
    windows: Windows,
    config: EvaluationConfig,
    progress: Callable[[int], None] | None,
) -> tuple[_Part, float]:
    """All windows' results and the seconds of the slowest process; batches are dealt out."""
    if len(windows) == 0:
        raise ValueError("there are no windows to evaluate: give a split with at least one target")
    begin = time.perf_counter()
    rank, num_processes = place()
    parts: list[_Part] = []
    for rows in _batches(windows, config.batch_size)[rank::num_processes]:
        parts.append(evaluate_batch(rows))
        if progress is not None:
            progress(len(rows))
    gathered = gather((parts, time.perf_counter() - begin))
    parts = [part for theirs, _ in gathered for part in theirs]
    per_user = pl.concat([part.per_user for part in parts]).sort("row")
    assert len(per_user) == len(windows), "each window is counted once"
    survival = sum((part.survival for part in parts), SurvivalCounts())
    return _Part(per_user, survival), max(seconds for _, seconds in gathered)


def _batches(windows: Windows, batch_size: int) -> list[Int64[Tensor, " rows"]]:
    """Window numbers in batches of similar history length, which saves padding."""
    order = torch.argsort(windows.history_lengths, stable=True).cpu()
    return list(order.split(batch_size))


def _evaluate_batch(
    backbone: Backbone,
    windows: Windows,
    rows: Int64[Tensor, " rows"],
    catalog: Catalog,
    config: EvaluationConfig,
) -> _Part:
    histories = windows.histories(rows).to(catalog.device)
    targets = targets_in(catalog, windows, rows).to(catalog.device)
    target_leaves = catalog.leaf_of_item[targets].long()
    sizes = leaf_sizes(catalog)
    target_sizes = sizes[target_leaves]
    nowhere = catalog.num_leaves  # no search returns a leaf of this number
    target_leaves = target_leaves.masked_fill(are_retired(catalog, targets), nowhere)
    top_k, mask = config.ks[-1], config.mask
    beam = beam_search(backbone, histories, catalog, config.beam_width, top_k, mask)
    columns = {
        "row": rows,
        "target": targets,
        "leaf_size": target_sizes,
        "exact": beam.exact,
        **_ranked(beam, target_leaves, target_sizes, sizes, config.ks),
    }
    survival = SurvivalCounts()
    if config.full_sort:
        best = exact_ranking(backbone, histories, catalog, top_k, mask)
        ranked = _ranked(best, target_leaves, target_sizes, sizes, config.ks)
        columns |= {f"{name}_full_sort": values for name, values in ranked.items()}
        survival = count_survival(beam, best, target_leaves)
        request = SearchRequest(backbone, histories, catalog, top_k, mask, None)
        is_pruned = _is_among(best, target_leaves) & ~_is_among(beam, target_leaves)
        losses = _losses(request, config.beam_width, target_leaves, is_pruned)
        columns |= {PRUNED_AT: losses.pruned_at, PRUNED_BY_TOKEN: losses.by_token}
    return _Part(_table(columns), survival)


def _is_among(
    result: SearchResult, target_leaves: Int64[Tensor, " batch"]
) -> Bool[Tensor, " batch"]:
    return (result.leaves == target_leaves[:, None]).any(dim=1)


def _losses(
    request: SearchRequest,
    beam_width: BeamWidth,
    target_leaves: Int64[Tensor, " batch"],
    is_pruned: Bool[Tensor, " batch"],
) -> Losses:
    """Where the beam lost the pruned targets; nothing for the others, which are most."""
    widths, _ = widths_by_level(beam_width, None, request.catalog)
    users = is_pruned.nonzero()[:, 0]
    theirs = replace(request, histories=request.histories[users])
    found = where_pruned(theirs, widths, target_leaves[users])
    losses = Losses.none(len(target_leaves), users.device)
    for values, some in zip(losses, found, strict=True):
        values[users] = some
    return losses


def _rank_batch(
    baseline: Baseline,
    windows: Windows,
    rows: Int64[Tensor, " rows"],
    catalog: Catalog,
    order: ItemOrder,
    ks: tuple[int, ...],
) -> _Part:
    targets = targets_in(catalog, windows, rows)
    found = target_ranks(baseline.scores(windows.histories(rows)), targets.numpy(), order)
    leaf_ranks, item_ranks = (torch.from_numpy(ranks) for ranks in found)
    sizes = leaf_sizes(catalog)[catalog.leaf_of_item[targets.to(catalog.device)].long()]
    columns = {
        "row": rows,
        "target": targets,
        "leaf_size": sizes.cpu(),
        "leaf_rank": leaf_ranks,
        "item_rank": item_ranks,
        **metrics_of_ranks(leaf_ranks, item_ranks, torch.ones_like(targets), ks),
    }
    return _Part(_table(columns), SurvivalCounts())


def _table(columns: dict[str, Tensor]) -> pl.DataFrame:
    """The columns side by side, ranks of what was not found null."""
    table = pl.DataFrame({name: values.cpu().numpy() for name, values in columns.items()})
    ranks = [name for name in table.columns if name.startswith(_RANKS)]
    table = table.with_columns(pl.when(pl.col(r) > 0).then(pl.col(r)) for r in ranks)
    if PRUNED_AT not in columns:
        return table
    return table.with_columns(pl.when(pl.col(PRUNED_AT) > 0).then(pl.col(PRUNED_BY_TOKEN)))


def _ranked(
    result: SearchResult,
    target_leaves: Int64[Tensor, " batch"],
    target_sizes: Int64[Tensor, " batch"],
    sizes: Int64[Tensor, " leaves"],
    ks: tuple[int, ...],
) -> dict[str, Tensor]:
    """`metrics_at`, counted on the CPU: float64 is missing on some devices."""
    returned = sizes[result.leaves.clamp(min=0)].cpu()
    return metrics_at(
        result.leaves.cpu(), target_leaves.cpu(), returned, target_sizes.cpu().clamp(min=1), ks
    )


def _summarise(per_user: pl.DataFrame) -> dict[str, float | int]:
    described = {"row", "target", "leaf_size", PRUNED_BY_TOKEN}
    averaged = [
        name for name in per_user.columns if name not in described and not name.startswith(_RANKS)
    ]
    means = per_user.select(pl.col(averaged).cast(pl.Float64).mean()).row(0, named=True)
    return {"users": len(per_user), **means}
