"""Metrics by semantic ID and by item, and what the beam lost."""

from beamwise.evaluation.baselines import BASELINES
from beamwise.evaluation.evaluation import Evaluation, EvaluationConfig
from beamwise.evaluation.evaluator import evaluate_baseline, evaluate_windows
from beamwise.evaluation.survival import SurvivalCounts, count_survival

__all__ = [
    "BASELINES",
    "Evaluation",
    "EvaluationConfig",
    "SurvivalCounts",
    "count_survival",
    "evaluate_baseline",
    "evaluate_windows",
]
