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
from beamwise.training.batch_source import BatchSource
from beamwise.training.reference import scored

NEGATIVES_STREAM = -1
"""Every validation draws the same negatives; training's streams are step numbers, from 0."""


def validate(
    backbone: nn.Module,
    objective: Objective,
    source: BatchSource,
    reference: Scorer | None = None,
) -> dict[str, float]:
    """The early-stopping metric and what comes with it, the same on every process.

    Args:
        backbone: The unwrapped model.
        objective: What it is trained on.
        source: Makes the batches of a loss, and knows the settings.
        reference: Of the objective.
    """
    config = source.config
    if config.early_stopping.metric == "loss":
        return {"loss": validation_loss(backbone, objective, source, reference)}
    catalog: Catalog = source.catalog.to(source.process.device)
    settings = config.evaluation.model_copy(update={"full_sort": False})
    evaluation = evaluate_windows(
        cast(Backbone, backbone), source.validation.windows, catalog, settings
    )
    return {name: float(value) for name, value in evaluation.summary.items()}


@torch.no_grad()
def validation_loss(
    backbone: nn.Module,
    objective: Objective,
    source: BatchSource,
    reference: Scorer | None = None,
) -> float:
    """The objective's mean over all targets, in nats, without dropout or weight updates."""
    backbone.eval()
    objective.eval()
    scorer = Scorer(backbone)
    totals = torch.zeros(2, dtype=torch.float64)
    packs = source.validation
    rows = torch.arange(len(packs))
    batch_size = source.config.training.batch_size
    for step in steps_of(rows, packs.sizes, batch_size, source.process.count):
        for _, batch in source.batches(packs, step, NEGATIVES_STREAM):
            losses, _ = objective(scored(scorer, batch, objective.needs, reference))
            totals += torch.tensor([float(losses.sum()), len(losses)], dtype=torch.float64)
    if dist.is_available() and dist.is_initialized():
        totals = totals.to(source.process.device)
        dist.all_reduce(totals)
    return float(totals[0] / totals[1])
