"""Pictures of what the beam lost: the targets by their fate, alone or in a whole report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from beamwise.evaluation.survival import SurvivalCounts
from beamwise.evaluation.survival_figures import Survival
from beamwise.report.inline_svg import drawn_svg
from beamwise.report.panels import COLOURS, line
from beamwise.report.survival_panels import PANELS, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

OUTCOMES = {
    "found": ("returned by the beam", "#0072B2"),
    "promoted": ("returned, only as better items were pruned", "#56B4E9"),
    "pruned": ("lost: a full ranking has it, the beam pruned it", "#D55E00"),
}
"""Label and colour of each part of a bar; the colours of Okabe and Ito, safe for colour-blind."""
COLUMNS = 2


def plot_survival(survival: Mapping[str, SurvivalCounts], beam_width: int, path: Path) -> None:
    """Write a stacked bar for each run: hits of the beam, and hits that it pruned away.

    Args:
        survival: Counts by the name of the run, drawn from top to bottom.
        beam_width: K of both searches, for the title.
        path: Image to write; its suffix chooses the format.

    Raises:
        ValueError: If there is nothing to draw.
    """
    if not survival:
        raise ValueError("there are no counts to draw: give at least one run")
    from matplotlib.figure import Figure  # a second of import that only pictures need

    figure = Figure(figsize=(8, 1.5 + 0.55 * len(survival)), layout="constrained")
    axes = figure.subplots()
    draw_outcomes(axes, survival)
    axes.set_title(f"Targets in the best {beam_width}", loc="left")
    figure.legend(loc="outside lower left", ncols=1, frameon=False)
    figure.savefig(path, dpi=150)


def draw_outcomes(axes: Axes, survival: Mapping[str, SurvivalCounts]) -> None:
    """A stacked bar for each name; the out-scored, nearly always the most, are left out."""
    names = list(survival)
    left = [0.0] * len(names)
    for outcome, (label, colour) in OUTCOMES.items():
        counts = [getattr(survival[name], outcome) for name in names]
        shares = [100 * c / survival[name].users for c, name in zip(counts, names, strict=True)]
        bars = axes.barh(names, shares, left=left, color=colour, label=label, height=0.6)
        axes.bar_label(
            bars, [f"{c:,}" if c else "" for c in counts], label_type="center", color="w"
        )
        left = [start + share for start, share in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    users = survival[names[0]].users
    axes.set_xlabel(f"share of {users:,} test targets (%)")


def plot_report(survivals: Mapping[str, Survival], path: Path) -> None:
    """Write all panels of a report as one picture, a colour a model.

    Args:
        survivals: By the name of the model.
        path: Image to write; its suffix chooses the format.

    Raises:
        ValueError: If there is nothing to draw, or there are more models than colours.
    """
    colours = colours_of(survivals)
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = -(-len(PANELS) // COLUMNS)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(5.2 * COLUMNS, 3.4 * rows), layout=layout)
    for axes, panel in zip(figure.subplots(rows, COLUMNS).flat, PANELS, strict=True):
        draw_panel(axes, panel, survivals, colours)
        axes.set_title(panel.heading, loc="left", fontweight="bold")
    swatches = _swatches(colours)
    if len(survivals) > 1:
        figure.legend(handles=swatches, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=130)


def panel_svg(panel: Panel, survivals: Mapping[str, Survival], ink: str) -> str:
    """One panel as SVG to stand in a page: transparent, text as text, `ink` for text and axes."""
    return drawn_svg(lambda: _panel_figure(panel, survivals), ink, panel.heading)


def _panel_figure(panel: Panel, survivals: Mapping[str, Survival]) -> Figure:
    from matplotlib.figure import Figure

    colours = colours_of(survivals)
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    draw_panel(figure.subplots(), panel, survivals, colours)
    if len(survivals) > 1:
        figure.legend(
            handles=_swatches(colours),
            loc="outside upper left",
            ncols=3,
            frameon=False,
            fontsize=8,
        )
    return figure


def draw_panel(
    axes: Axes, panel: Panel, survivals: Mapping[str, Survival], colours: Mapping[str, str]
) -> None:
    """Draw one panel, and give it the frame of all."""
    panel.draw(axes, survivals, colours)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def colours_of(survivals: Mapping[str, object]) -> dict[str, str]:
    """A colour for each model; black, unreadable on a dark page, is not among them.

    Raises:
        ValueError: If there are none, or more than colours.
    """
    colours = COLOURS[:-1]
    if not 1 <= len(survivals) <= len(colours):
        raise ValueError(
            f"got {len(survivals)} models to draw: give 1 to {len(colours)}, as many as colours"
        )
    return dict(zip(survivals, colours, strict=False))


def _swatches(colours: Mapping[str, str]) -> list[Line2D]:
    return [line(name, colour, linewidth=5) for name, colour in colours.items()]
