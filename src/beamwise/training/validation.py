"""What validation measures on every validation target: beam search, or the objective itself."""

from __future__ import annotations

from typing import cast

import torch
import torch.distributed as dist
from torch import nn

from beamwise.backbones.base import Backbone
from beamwise.catalog import Catalog
from beamwise.evaluation.evaluator import evaluate_windows
from beamwise.objectives.base import Objective
from beamwise.scoring import Scorer
from beamwise.sequences.batches import steps_of
from beamwise.sequences.windows import Windows
from beamwise.training.batch_source import BatchSource
from beamwise.training.config import RunConfig

NEGATIVES_STREAM = -1
"""Every validation draws the same negatives; training's streams are step numbers, from 0."""


def validate(
    backbone: nn.Module,
    objective: Objective,
    source: BatchSource,
    windows: Windows,
    config: RunConfig,
) -> dict[str, float]:
    """The early-stopping metric and what comes with it, the same on every process."""
    if config.early_stopping.metric == "loss":
        return {"loss": validation_loss(backbone, objective, source, windows)}
    catalog: Catalog = source.catalog.to(source.device)
    settings = config.evaluation.model_copy(update={"full_sort": False})
    evaluation = evaluate_windows(cast(Backbone, backbone), windows, catalog, settings)
    return {name: float(value) for name, value in evaluation.summary.items()}


@torch.no_grad()
def validation_loss(
    backbone: nn.Module, objective: Objective, source: BatchSource, windows: Windows
) -> float:
    """The objective's mean over all windows, in nats, without dropout or weight updates."""
    backbone.eval()
    objective.eval()
    scorer = Scorer(backbone)
    totals = torch.zeros(2, dtype=torch.float64)
    rows = torch.arange(len(windows))
    for step in steps_of(rows, source.training.batch_size, source.num_processes):
        for _, batch in source.batches(windows, step, NEGATIVES_STREAM):
            losses, _ = objective(scorer(batch, objective.needs))
            totals += torch.tensor([float(losses.sum()), len(losses)], dtype=torch.float64)
    if dist.is_available() and dist.is_initialized():
        totals = totals.to(source.device)
        dist.all_reduce(totals)
    return float(totals[0] / totals[1])
