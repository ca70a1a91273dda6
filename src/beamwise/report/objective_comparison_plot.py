"""A picture of a comparison: each method's recall, and what of its difference is the model's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from beamwise.evaluation.significance import Interval, PairedTest
from beamwise.report.objective_comparison import ComparisonFigures
from beamwise.report.panels import COLOURS, GREY, line, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 0.17
"""Half of the distance between the marks of one method; methods are 1 apart."""
LEGEND_DROP = 3
"""Points that a legend's frame, which is not drawn, reaches into its panel."""


def plot_comparison(figures: ComparisonFigures, path: Path) -> None:
    """Write two panels with a row a method, each value with its 95 % interval.

    Left: recall under beam search and under exact ranking. Right: the difference to the baseline
    that the model makes, and the one that survival makes.

    Args:
        figures: What to draw.
        path: Image to write; its suffix chooses the format.
    """
    from matplotlib.figure import Figure  # a second of import that only pictures need

    k = figures.ks[-1]
    figure = Figure(figsize=(10.5, 1.9 + 0.42 * len(figures.methods)), layout="constrained")
    values, causes = figure.subplots(1, 2, sharey=True)
    _draw(values, figures, {f"recall@{k}": -APART, f"recall@{k}_full_sort": APART}, COLOURS[:2])
    baseline = next(each for each in figures.methods if each.name == figures.baseline)
    values.axvline(baseline.metrics[f"recall@{k}"].interval.mean, color=GREY, linewidth=0.8)
    searches = [line("beam search", COLOURS[0]), line("exact ranking", COLOURS[1])]
    title(values, f"Recall@{k}, mean and 95 % interval", legend=searches)
    parts = {f"recall@{k}_full_sort": -APART, f"survival@{k}": APART}
    _draw(causes, figures, parts, COLOURS[2:4], differences=True)
    causes.axvline(0, color=GREY, linewidth=0.8)
    made = [line("model (exact ranking)", COLOURS[2]), line("survival (beam - exact)", COLOURS[3])]
    title(causes, f"Difference to {figures.baseline}", legend=made)
    names = [f"{each.name} ({len(each.seeds)})" for each in figures.methods]
    values.set_yticks(range(len(names)), names)
    values.set_ylim(len(names) - 0.5, -0.5)
    values.set_ylabel("method (seeds)")
    for axes in (values, causes):
        _put_legend_over(axes)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(f"recall@{k} by ID, {figures.users:,} test users")
        axes.grid(axis="x", color="#E4E4E4", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _draw(
    axes: Axes,
    figures: ComparisonFigures,
    metrics: dict[str, float],
    colours: tuple[str, ...],
    *,
    differences: bool = False,
) -> None:
    """A mark and its interval for each method and metric, so far from the method's own row."""
    for (metric, shift), colour in zip(metrics.items(), colours, strict=True):
        for row, method in enumerate(figures.methods):
            of_metric = method.metrics[metric]
            shown = of_metric.test if differences else of_metric.interval
            if shown is None:
                continue
            axes.plot([shown.low, shown.high], [row + shift] * 2, color=colour, linewidth=1.9)
            axes.plot([_middle(shown)], [row + shift], color=colour, marker="o", markersize=5)


def _put_legend_over(axes: Axes) -> None:
    """Right over the panel, however high it is: `title` places it for panels of three inches."""
    from matplotlib.transforms import ScaledTranslation

    legend, figure = axes.get_legend(), axes.get_figure(root=True)
    if legend is not None and figure is not None:
        down = ScaledTranslation(0, -LEGEND_DROP / 72, figure.dpi_scale_trans)
        legend.set_bbox_to_anchor((-0.03, 1.0), transform=axes.transAxes + down)


def _middle(shown: Interval | PairedTest) -> float:
    return shown.mean if isinstance(shown, Interval) else shown.difference
