"""The report on a comparison, written into its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from beamwise.experiments.comparison_figures import comparison_figures
from beamwise.experiments.objective_comparison import Comparison
from beamwise.report.objective_comparison import ComparisonFigures, verdict
from beamwise.report.objective_comparison_markdown import comparison_markdown
from beamwise.report.objective_comparison_plot import plot_comparison
from beamwise.report.published_results import reproductions

REPORT_FILE, FIGURES_FILE, PICTURE_FILE = "report.md", "report.json", "report.png"


def write_comparison_report(
    comparison: Comparison,
    methods: Sequence[str],
    seeds: Sequence[int],
    printed: Mapping[str, Mapping[str, float]] | None = None,
) -> ComparisonFigures:
    """Write `report.md`, `report.json` and `report.png` from the runs that are there.

    Each file appears complete or not at all, so several processes may write the same report.

    Args:
        comparison: Whose runs.
        methods: Some of its methods.
        seeds: Some of its seeds.
        printed: Figures that a paper printed, by method and metric, to stand beside ours.

    Raises:
        ValueError: As `comparison_figures`.
    """
    figures = comparison_figures(comparison, methods, seeds)
    if printed:
        figures = replace(figures, printed=reproductions(figures, printed))
    markdown = comparison_markdown(figures, PICTURE_FILE)
    content = json.dumps(as_json(comparison, figures), indent=1, allow_nan=False)
    for name in (PICTURE_FILE, FIGURES_FILE, REPORT_FILE):
        unfinished = comparison.out / f".{os.getpid()}.{name}"
        if name == PICTURE_FILE:
            plot_comparison(figures, unfinished)
        else:
            text = markdown if name == REPORT_FILE else content + "\n"
            unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(comparison.out / name)
    return figures


def as_json(comparison: Comparison, figures: ComparisonFigures) -> dict[str, Any]:
    """The figures, what they say of model and survival, and the settings of the comparison."""
    k = figures.ks[-1]
    verdicts = {
        method.name: verdict(method, k)
        for method in figures.methods
        if method.name != figures.baseline
    }
    settings = comparison.config.model_dump(mode="json")
    return {**asdict(figures), "verdicts": verdicts, "settings": settings}


def report_path(comparison: Comparison) -> Path:
    """Where the Markdown is."""
    return comparison.out / REPORT_FILE
