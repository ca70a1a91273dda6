"""A picture of a comparison: each method's recall, and what of its difference is the model's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from beamwise.evaluation.significance import Interval, PairedTest
from beamwise.report.method_colours import BLACK, SEARCHES, Look
from beamwise.report.objective_comparison import ComparisonFigures
from beamwise.report.panels import GREY, line, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

APART = 0.17
"""Half of the distance between the marks of one method; methods are 1 apart."""
BEAM, EXACT = SEARCHES["beam-search"], SEARCHES["exact-ranking"]
SURVIVAL = Look(BLACK, "D")
"""What the beam changes, in its colour; the model looks like exact ranking, which shows it."""
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
    shown = {f"recall@{k}": (-APART, BEAM), f"recall@{k}_full_sort": (APART, EXACT)}
    _draw(values, figures, shown)
    baseline = next(each for each in figures.methods if each.name == figures.baseline)
    values.axvline(baseline.metrics[f"recall@{k}"].interval.mean, color=GREY, linewidth=0.8)
    searches = [_entry("beam search", BEAM), _entry("exact ranking", EXACT)]
    title(values, f"Recall@{k}, mean and 95 % interval", legend=searches)
    parts = {f"recall@{k}_full_sort": (-APART, EXACT), f"survival@{k}": (APART, SURVIVAL)}
    _draw(causes, figures, parts, differences=True)
    causes.axvline(0, color=GREY, linewidth=0.8)
    made = [_entry("model (exact ranking)", EXACT), _entry("survival (beam - exact)", SURVIVAL)]
    title(causes, f"Difference to {figures.baseline}", legend=made)
    names = [f"{each.name} ({len(each.seeds)})" for each in figures.methods]
    values.set_yticks(range(len(names)), names)
    values.set_ylim(len(names) - 0.5, -0.5)
    values.set_ylabel("method (seeds)")
    for axes in (values, causes):
        _put_legend_over(axes)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(f"recall@{k} by {figures.leaves}, {figures.users:,} test targets")
        axes.grid(axis="x", color="#E4E4E4", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _draw(
    axes: Axes,
    figures: ComparisonFigures,
    metrics: dict[str, tuple[float, Look]],
    *,
    differences: bool = False,
) -> None:
    """A mark and its interval for each method and metric, so far from the method's own row."""
    for metric, (shift, look) in metrics.items():
        for row, method in enumerate(figures.methods):
            of_metric = method.metrics[metric]
            shown = of_metric.test if differences else of_metric.interval
            if shown is None:
                continue
            axes.plot([shown.low, shown.high], [row + shift] * 2, color=look.colour, linewidth=1.9)
            middle = [_middle(shown)]
            axes.plot(middle, [row + shift], color=look.colour, marker=look.marker, markersize=5)


def _entry(label: str, look: Look) -> Line2D:
    return line(label, look.colour, marker=look.marker)


def _put_legend_over(axes: Axes) -> None:
    """Right over the panel, however high it is: `title` places it for panels of three inches."""
    from matplotlib.transforms import ScaledTranslation

    legend, figure = axes.get_legend(), axes.get_figure(root=True)
    if legend is not None and figure is not None:
        down = ScaledTranslation(0, -LEGEND_DROP / 72, figure.dpi_scale_trans)
        legend.set_bbox_to_anchor((-0.03, 1.0), transform=axes.transAxes + down)


def _middle(shown: Interval | PairedTest) -> float:
    return shown.mean if isinstance(shown, Interval) else shown.difference
