"""Measure, over a set of windows, what beams of several widths keep and lose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.decoding import node_log_probs
from beamwise.evaluation.metrics import metrics_at
from beamwise.evaluation.processes import gather, place
from beamwise.evaluation.survival import count_outcomes
from beamwise.evaluation.survival_counts import SurvivalConfig, WidthCounts, added
from beamwise.evaluation.survival_figures import Survival
from beamwise.evaluation.survival_levels import told_levels
from beamwise.evaluation.survival_targets import (
    TargetPlaces,
    kept_by_level,
    level_of_loss,
    margins,
    target_places,
)
from beamwise.evaluation.survival_times import search_times, spread_evenly
from beamwise.evaluation.survival_tree import ScoredTree
from beamwise.evaluation.targets import are_retired, leaf_sizes, targets_in
from beamwise.sequences.windows import Windows


@dataclass(frozen=True, eq=False)
class _Batch:
    """Users whose prefixes are all scored, and what is known of their targets."""

    tree: ScoredTree
    places: TargetPlaces
    target_leaves: Int64[Tensor, " batch"]
    """One past the last leaf where no search can find the target."""
    target_sizes: Int64[Tensor, " batch"]
    sizes: Int64[Tensor, " leaves"]
    best: Int64[Tensor, "batch top_k"]
    """The full sort's."""
    config: SurvivalConfig


@dataclass(frozen=True, eq=False)
class _Part:
    per_user: pl.DataFrame
    widths: tuple[WidthCounts, ...]
    exact: dict[str, float]


def measure_survival(
    backbone: Backbone,
    windows: Windows,
    catalog: Catalog,
    config: SurvivalConfig,
    progress: Callable[[int, int], None] | None = None,
) -> Survival:
    """Score every prefix for every window, and see what becomes of the targets in each beam.

    Under torch.distributed every process calls this with the same windows and gets the same counts.

    Args:
        backbone: The unwrapped module, on the catalog's device; its modes are restored.
        windows: Histories and targets, as indices into the catalog's items.
        catalog: What may be recommended. A target that it has retired counts as out-scored.
        config: Searches and cutoffs.
        progress: Told how many users are done and of how many, after each batch of this process.

    Raises:
        ValueError: If there are no windows, the beam is wider than the catalog, the catalog is too
            large, or a target is not in it.
    """
    widths = config.widths_for(catalog)
    rows = _chosen(windows, config.max_users)
    targets_in(catalog, windows, rows)  # before any work
    rank, num_processes = place()
    batches = _batches(windows, rows, catalog, config)[rank::num_processes]
    parts, done, total = [], 0, sum(len(batch) for batch in batches)
    for batch in batches:
        parts.append(_measure(backbone, windows, batch, catalog, config, widths))
        done += len(batch)
        if progress is not None:
            progress(done, total)
    times = search_times(backbone, windows, rows, catalog, config, widths)
    whole = [part for theirs in gather(parts) for part in theirs]
    per_user = pl.concat([part.per_user for part in whole]).sort("row")
    assert len(per_user) == len(rows), "each window is counted once"
    by_width = [[part.widths[i] for part in whole] for i in range(len(widths))]
    exact = whole[0].exact
    for part in whole[1:]:
        exact = added(exact, part.exact)
    means = {name: value / len(rows) for name, value in exact.items()}
    by_width = tuple(_sum(each) for each in by_width)
    told = told_levels(catalog, config.beam_width)
    return Survival(config, per_user, by_width, means, times, told)


def _chosen(windows: Windows, max_users: int | None) -> Int64[Tensor, " rows"]:
    if len(windows) == 0:
        raise ValueError("there are no windows to report on: give a split with a target")
    return spread_evenly(max_users or len(windows), len(windows))


def _batches(
    windows: Windows, rows: Int64[Tensor, " rows"], catalog: Catalog, config: SurvivalConfig
) -> Sequence[Int64[Tensor, " batch"]]:
    """Windows of similar history length, which saves padding."""
    order = torch.argsort(windows.history_lengths[rows], stable=True).cpu()
    return rows[order].split(config.users_at_once(catalog))


def _measure(
    backbone: Backbone,
    windows: Windows,
    rows: Int64[Tensor, " batch"],
    catalog: Catalog,
    config: SurvivalConfig,
    widths: Sequence[int],
) -> _Part:
    histories = windows.histories(rows).to(catalog.device)
    scores = node_log_probs(backbone, histories, catalog, config.mask)
    targets = windows.targets(rows).to(catalog.device)
    batch = _batch(ScoredTree(catalog, scores), targets, config)
    counts = [_count(batch, width) for width in widths]
    per_user = {"row": rows, "target": targets} | _per_user(batch)
    columns = {name: values.cpu().numpy() for name, values in per_user.items()}
    exact = _metric_sums(batch, batch.best, config.ks)
    return _Part(pl.DataFrame(columns), tuple(counts), exact)


def _batch(tree: ScoredTree, targets: Int64[Tensor, " batch"], config: SurvivalConfig) -> _Batch:
    catalog = tree.catalog
    leaves = catalog.leaf_of_item[targets].long()
    sizes = leaf_sizes(catalog)
    places = target_places(tree, leaves, ~are_retired(catalog, targets))
    findable = leaves.masked_fill(~places.reachable, catalog.num_leaves)
    best = tree.best_leaves(config.top_k)[0]
    return _Batch(tree, places, findable, sizes[leaves].clamp(min=1), sizes, best, config)


def _count(batch: _Batch, width: int) -> WidthCounts:
    """What a beam of one width makes of these users."""
    tree, places, config = batch.tree, batch.places, batch.config
    beam = tree.beam(width)
    num_results = min(width, config.top_k)
    leaves, scores = tree.best_leaves(num_results, beam.lives)
    outcomes = count_outcomes(leaves, batch.best, batch.target_leaves)
    is_returned = (leaves == batch.target_leaves[:, None]).any(dim=1)
    lives = beam.lives.gather(1, places.nodes) & places.reachable[:, None]
    kept = kept_by_level(places.nodes, lives, is_returned)
    in_best = (batch.best == batch.target_leaves[:, None]).any(dim=1)
    lost_at = level_of_loss(kept)
    within = places.reachable & (places.ranks[:, -1] <= width)
    fell = within & ~lives.all(dim=1)
    fell_at = level_of_loss(lives)
    token = places.token_ranks.gather(1, (fell_at - 1).clamp(min=0)[:, None])[:, 0]
    is_miss = ~is_returned & places.reachable
    return WidthCounts(
        width=width,
        outcomes=outcomes,
        kept_targets=tuple(kept.sum(dim=0).tolist()),
        kept_leaves=_kept_leaves(batch, beam.lives, leaves),
        pruned_at=_by_level(lost_at, is_miss & in_best, tree.num_levels),
        outscored_at=_by_level(lost_at, is_miss & ~in_best, tree.num_levels),
        within=int(within.sum()),
        within_pruned=int(fell.sum()),
        within_pruned_by_token=int((fell & (token > width)).sum()),
        exact=int(beam.is_exact(scores[:, -1]).sum()),
        prefixes=int((beam.lives & ~tree.is_leaf).sum()),
        metrics=_metric_sums(batch, leaves, tuple(k for k in config.ks if k <= width)),
    )


def _kept_leaves(
    batch: _Batch, lives: Bool[Tensor, "batch nodes"], returned: Int64[Tensor, "batch results"]
) -> tuple[int, ...]:
    catalog, best = batch.tree.catalog, batch.best
    path = catalog.leaf_nodes[best.clamp(min=0)].long()
    last = path.amax(dim=2, keepdim=True)
    nodes = torch.where(path >= 0, path, last).masked_fill(best[..., None] < 0, -1)
    flat = nodes.clamp(min=0).flatten(1)
    alive = lives.gather(1, flat).view(nodes.shape)
    is_returned = (best[:, :, None] == returned[:, None, :]).any(dim=2)
    return tuple(kept_by_level(nodes, alive, is_returned).sum(dim=(0, 1)).tolist())


def _by_level(
    levels: Int64[Tensor, " batch"], counted: Bool[Tensor, " batch"], num_levels: int
) -> tuple[int, ...]:
    return tuple(torch.bincount(levels[counted], minlength=num_levels + 1)[1:].tolist())


def _metric_sums(
    batch: _Batch, leaves: Int64[Tensor, "batch results"], ks: tuple[int, ...]
) -> dict[str, float]:
    """Sums over users, counted on the CPU: float64 is missing on some devices."""
    sizes = batch.sizes[leaves.clamp(min=0)].cpu()
    columns = metrics_at(
        leaves.cpu(), batch.target_leaves.cpu(), sizes, batch.target_sizes.cpu(), ks
    )
    return {name: float(values.sum()) for name, values in columns.items() if "@" in name}


def _per_user(batch: _Batch) -> dict[str, Tensor]:
    """Ranks, margins and fate of every target under the beam that the report is about."""
    tree, places, config = batch.tree, batch.places, batch.config
    limits = (config.beam_width,) * (tree.num_levels - 1) + (config.top_k,)
    beam = tree.beam(config.beam_width)
    leaves, _ = tree.best_leaves(config.top_k, beam.lives)
    returned = (leaves == batch.target_leaves[:, None]).any(dim=1)
    lives = beam.lives.gather(1, places.nodes) & places.reachable[:, None]
    table = {
        "reachable": places.reachable,
        "returned": returned,
        "lost_at": level_of_loss(kept_by_level(places.nodes, lives, returned)),
    }
    gaps = margins(tree, places, limits)
    for number, _, _ in told_levels(tree.catalog, config.beam_width):
        table[f"rank_{number}"] = places.ranks[:, number - 1]
        table[f"margin_{number}"] = gaps[:, number - 1]
    return table


def _sum(counts: Sequence[WidthCounts]) -> WidthCounts:
    total = counts[0]
    for each in counts[1:]:
        total += each
    return total
