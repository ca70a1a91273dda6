"""Metrics by semantic ID and by item, and what the beam lost."""

from beamwise.evaluation.evaluation import Evaluation, EvaluationConfig
from beamwise.evaluation.evaluator import evaluate_windows
from beamwise.evaluation.survival import SurvivalCounts, count_survival

__all__ = [
    "Evaluation",
    "EvaluationConfig",
    "SurvivalCounts",
    "count_survival",
    "evaluate_windows",
]
