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

STEM = "report"
"""Of the files of a comparison that has its folder for itself."""


def write_comparison_report(
    comparison: Comparison,
    methods: Sequence[str],
    seeds: Sequence[int],
    printed: Mapping[str, Mapping[str, float]] | None = None,
    stem: str = STEM,
) -> ComparisonFigures:
    """Write `STEM.md`, `STEM.json` and `STEM.png` from the runs that are there.

    Each file appears complete or not at all, so several processes may write the same report.

    Args:
        comparison: Whose runs.
        methods: Some of its methods.
        seeds: Some of its seeds.
        printed: Figures that a paper printed, by method and metric, to stand beside ours.
        stem: Of the names of the files.

    Raises:
        ValueError: As `comparison_figures`.
    """
    figures = comparison_figures(comparison, methods, seeds)
    if printed:
        figures = replace(figures, printed=reproductions(figures, printed))
    picture = f"{stem}.png"
    texts = {
        f"{stem}.json": json.dumps(as_json(comparison, figures), indent=1, allow_nan=False) + "\n",
        f"{stem}.md": comparison_markdown(figures, picture),
    }
    for name in (picture, *texts):
        unfinished = comparison.out / f".{os.getpid()}.{name}"
        if name == picture:
            plot_comparison(figures, unfinished)
        else:
            unfinished.write_text(texts[name], encoding="utf-8")
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


def report_path(comparison: Comparison, stem: str = STEM) -> Path:
    """Where the Markdown is."""
    return comparison.out / f"{stem}.md"
