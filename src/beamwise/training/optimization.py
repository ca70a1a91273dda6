"""AdamW and its learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from beamwise.training.config import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; norms' scales are not decayed."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    kept = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def learning_rate(step: int, num_steps: int, config: TrainingConfig) -> float:
    """The learning rate of optimiser step `step` (from 0): linear warm-up, then a cosine to 0."""
    warmup = math.ceil(config.warmup_fraction * num_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, num_steps - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
