"""Rank every window's target with a backbone, on all processes, and gather the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import torch
import torch.distributed as dist
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, eval_mode
from beamwise.catalog import Catalog
from beamwise.decoding import SearchResult, beam_search, full_sort
from beamwise.evaluation.evaluation import Evaluation, EvaluationConfig
from beamwise.evaluation.metrics import metrics_at
from beamwise.evaluation.survival import SurvivalCounts, count_survival
from beamwise.sequences.windows import Windows

_RANKS = ("leaf_rank", "first_item_rank")


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
        catalog: What may be recommended.
        config: Search and cutoffs.
        progress: Called after each batch of this process with the number of its users.

    Raises:
        ValueError: If there are no windows, a target is not in the catalog, or the search refuses
            the backbone's logits.
    """
    if len(windows) == 0:
        raise ValueError("there are no windows to evaluate: give a split with at least one target")
    begin = time.perf_counter()
    rank, num_processes = _place()
    parts: list[_Part] = []
    with eval_mode(backbone), torch.no_grad():
        for rows in _batches(windows, config.batch_size)[rank::num_processes]:
            parts.append(_evaluate_batch(backbone, windows, rows, catalog, config))
            if progress is not None:
                progress(len(rows))
    parts, seconds = _gather(parts, time.perf_counter() - begin)
    per_user = pl.concat([part.per_user for part in parts]).sort("row")
    assert len(per_user) == len(windows), "each window is counted once"
    survival = sum((part.survival for part in parts), SurvivalCounts())
    return Evaluation(
        _summarise(per_user), per_user, config, survival if config.full_sort else None, seconds
    )


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
    targets = windows.targets(rows)
    if int(targets.max()) >= catalog.num_items:
        raise ValueError(
            f"a target has item index {int(targets.max())}, the catalog has items "
            f"0..{catalog.num_items - 1}: use the catalog that the windows were made with"
        )
    targets = targets.to(catalog.device)
    target_leaves = catalog.leaf_of_item[targets].long()
    top_k, mask = config.ks[-1], config.mask
    beam = beam_search(backbone, histories, catalog, config.beam_width, top_k, mask)
    columns = {
        "row": rows,
        "target": targets,
        "leaf_size": _leaf_sizes(catalog, target_leaves),
        "exact": beam.exact,
        **_ranked(beam, target_leaves, catalog, config.ks),
    }
    survival = SurvivalCounts()
    if config.full_sort:
        best = full_sort(backbone, histories, catalog, top_k, mask)
        ranked = _ranked(best, target_leaves, catalog, config.ks)
        columns |= {f"{name}_full_sort": values for name, values in ranked.items()}
        survival = count_survival(beam, best, target_leaves)
    table = pl.DataFrame({name: values.cpu().numpy() for name, values in columns.items()})
    ranks = [name for name in table.columns if name.startswith(_RANKS)]
    return _Part(
        table.with_columns(pl.when(pl.col(r) > 0).then(pl.col(r)) for r in ranks), survival
    )


def _ranked(
    result: SearchResult,
    target_leaves: Int64[Tensor, " batch"],
    catalog: Catalog,
    ks: tuple[int, ...],
) -> dict[str, Tensor]:
    """`metrics_at`, counted on the CPU: float64 is missing on some devices."""
    sizes = _leaf_sizes(catalog, result.leaves.clamp(min=0))
    target_sizes = _leaf_sizes(catalog, target_leaves)
    return metrics_at(result.leaves.cpu(), target_leaves.cpu(), sizes.cpu(), target_sizes.cpu(), ks)


def _leaf_sizes(catalog: Catalog, leaves: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Items that share each leaf."""
    return (catalog.leaf_item_start[leaves + 1] - catalog.leaf_item_start[leaves]).long()


def _summarise(per_user: pl.DataFrame) -> dict[str, float | int]:
    described = {"row", "target", "leaf_size"}
    averaged = [
        name for name in per_user.columns if name not in described and not name.startswith(_RANKS)
    ]
    means = per_user.select(pl.col(averaged).cast(pl.Float64).mean()).row(0, named=True)
    return {"users": len(per_user), **means}


def _place() -> tuple[int, int]:
    """This process's rank, and how many processes there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def _gather(parts: list[_Part], seconds: float) -> tuple[list[_Part], float]:
    """All processes' parts, and the longest of their times."""
    _, num_processes = _place()
    if num_processes == 1:
        return parts, seconds
    gathered: list[tuple[list[_Part], float]] = [([], 0.0)] * num_processes
    dist.all_gather_object(gathered, (parts, seconds))
    return [part for theirs, _ in gathered for part in theirs], max(s for _, s in gathered)
