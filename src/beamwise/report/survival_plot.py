"""A picture of what the beam lost: the targets of each run by what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from beamwise.evaluation.survival import SurvivalCounts

OUTCOMES = {
    "found": ("returned by the beam", "#0072B2"),
    "promoted": ("returned, only as better items were pruned", "#56B4E9"),
    "pruned": ("lost: a full ranking has it, the beam pruned it", "#D55E00"),
}
"""Label and colour of each part of a bar; the colours of Okabe and Ito, safe for colour-blind."""


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
    axes.set_title(f"Targets in the best {beam_width}", loc="left")
    figure.legend(loc="outside lower left", ncols=1, frameon=False)
    figure.savefig(path, dpi=150)
