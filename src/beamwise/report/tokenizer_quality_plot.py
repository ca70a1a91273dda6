"""A picture of a tokenizer's quality, alone or over others: use, variance, neighbours, groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from beamwise.report.panels import (
    COLOURS,
    GREY,
    Dash,
    draw_shares,
    frame_shares,
    line,
    plain_numbers,
    say_not_measured,
    title,
)
from beamwise.report.tokenizer_quality import group_size_bins
from beamwise.tokenization.code_use import LevelUse
from beamwise.tokenization.quality import TokenizerQuality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

VARIANCE = "What is left of the item vectors"
SHARING = "Neighbours with the same first codes"
FEW_CODES = 16
"""Up to so many codes each is marked, for a line alone suggests more."""
LEGEND_HEADROOM = 200
"""The use's axis goes to so many times an even use, which leaves its legend a free corner."""
LEGEND_ROWS = 5
"""Of the use's legend; more levels stand in more columns."""
LARGE_LIFT = 10
"""From here on a lift is written without decimals."""

Qualities = Mapping[str, TokenizerQuality]
Colours = Mapping[str, str]


def plot_quality(quality: TokenizerQuality | Qualities, path: Path) -> None:
    """Write four panels: use of codes, variance left, neighbours' prefixes, items on an ID.

    One tokenizer has a colour for each level or measure; several have a colour each, and of the use
    of their codes only the first and the least even level.

    Args:
        quality: One tokenizer's figures, or several by name.
        path: Image to write; its suffix chooses the format.

    Raises:
        ValueError: If there is nothing to draw, or more tokenizers than colours.
    """
    qualities = {"": quality} if isinstance(quality, TokenizerQuality) else quality
    if not 1 <= len(qualities) <= len(COLOURS):
        raise ValueError(
            f"got {len(qualities)} tokenizers to draw: give 1 to {len(COLOURS)}, as many as colours"
        )
    from matplotlib.figure import Figure  # a second of import that only pictures need
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(9.6, 7.6), layout=layout)
    panels = figure.subplots(2, 2)
    if len(qualities) == 1:
        (only,) = qualities.values()
        _draw_use(panels[0, 0], only)
        _draw_variance(panels[0, 1], only)
        _draw_sharing(panels[1, 0], only)
    else:
        colours = dict(zip(qualities, COLOURS, strict=False))
        _compare_use(panels[0, 0], qualities, colours)
        _compare_variance(panels[0, 1], qualities, colours)
        _compare_sharing(panels[1, 0], qualities, colours)
        swatches = [line(name, colour, linewidth=5) for name, colour in colours.items()]
        figure.legend(
            handles=swatches, loc="outside upper center", ncols=4, frameon=False, fontsize=12
        )
    _draw_groups(panels[1, 1], qualities)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _draw_use(axes: Axes, quality: TokenizerQuality) -> None:
    """Items of every code by the code's rank, a line a level."""
    labels = []
    for index, level in enumerate(_meaningful(quality)):
        colour = COLOURS[index % len(COLOURS)]
        _draw_level(axes, level, colour, "solid")
        labels.append(line(f"level {index + 1}: {level.perplexity:,.1f}", colour))
    _frame_use(axes, [quality], labels, heading="perplexity")


def _compare_use(axes: Axes, qualities: Qualities, colours: Colours) -> None:
    """Items of every code by its rank, at the first and at the least even level."""
    for name, quality in qualities.items():
        levels = _meaningful(quality)
        least_even = min(levels, key=lambda level: level.perplexity)
        _draw_level(axes, levels[0], colours[name], "solid")
        if least_even is not levels[0]:
            _draw_level(axes, least_even, colours[name], "dashed")
    labels = [line("level 1", GREY), line("the least even level", GREY, "dashed")]
    _frame_use(axes, list(qualities.values()), labels)


def _meaningful(quality: TokenizerQuality) -> tuple[LevelUse, ...]:
    return quality.use.levels[: quality.use.num_meaningful_levels]


def _draw_level(axes: Axes, level: LevelUse, colour: str, dash: Dash) -> None:
    counts = level.items_by_rank
    marker = "o" if len(counts) <= FEW_CODES else None
    ranks = range(1, len(counts) + 1)
    axes.plot(ranks, counts, color=colour, linestyle=dash, marker=marker, markersize=4)


def _frame_use(
    axes: Axes, qualities: Sequence[TokenizerQuality], labels: list[Line2D], heading: str = ""
) -> None:
    counts = [level.items_by_rank for each in qualities for level in _meaningful(each)]
    longest, highest = max(map(len, counts)), max(ranked[0] for ranked in counts)
    even = max(each.use.num_items / each.use.codebook_size for each in qualities)
    top = max(1.5 * highest, LEGEND_HEADROOM * even)
    axes.set(xscale="log", yscale="log", xlim=(0.9, 1.3 * longest), ylim=(0.8, top))
    plain_numbers(axes.xaxis, longest)
    plain_numbers(axes.yaxis, top)
    axes.set_xlabel("codes of a level, the most used first")
    axes.set_ylabel("items with the code")
    title(axes, "How evenly codes are used", subtitle="a flat line: all codes equally often")
    axes.legend(
        handles=labels,
        loc="upper right",
        ncols=math.ceil(len(labels) / LEGEND_ROWS),
        title=heading,
        title_fontsize=9,
        alignment="left",
        columnspacing=1.0,
        frameon=False,
        fontsize=9,
        borderaxespad=0,
    )


def _draw_variance(axes: Axes, quality: TokenizerQuality) -> None:
    """Share of the variance left after each level, level by level and within prefixes."""
    levels = quality.variance
    if levels is None:
        say_not_measured(axes, VARIANCE)
        return
    within = [1.0, *(left.within_prefix for left in levels)]
    within_by_chance = [1.0, *(left.within_prefix_by_chance for left in levels)]
    draw_shares(axes, within_by_chance, COLOURS[1], "dotted", first=0)
    draw_shares(axes, within, COLOURS[1], first=0)
    error_by_chance = [1.0, *(left.error_by_chance for left in levels)]
    draw_shares(axes, error_by_chance, COLOURS[0], "dotted", first=0)
    draw_shares(axes, [1.0, *(left.error for left in levels)], COLOURS[0], first=0)
    labels = [
        line("level by level", COLOURS[0], marker="o"),
        line("within prefixes", COLOURS[1], marker="o"),
        line("by chance", GREY, "dotted"),
    ]
    _frame_variance(axes, len(levels), labels)


def _compare_variance(axes: Axes, qualities: Qualities, colours: Colours) -> None:
    """Share of the variance left after each level, level by level."""
    measured = {name: q.variance for name, q in qualities.items() if q.variance is not None}
    if not measured:
        say_not_measured(axes, VARIANCE)
        return
    for name, levels in measured.items():
        by_chance = [1.0, *(left.error_by_chance for left in levels)]
        draw_shares(axes, by_chance, colours[name], "dotted", first=0)
        draw_shares(axes, [1.0, *(left.error for left in levels)], colours[name], first=0)
    labels = [line("level by level", GREY, marker="o"), line("by chance", GREY, "dotted")]
    _frame_variance(axes, max(map(len, measured.values())), labels)


def _frame_variance(axes: Axes, num_levels: int, labels: list[Line2D]) -> None:
    frame_shares(axes, range(num_levels + 1))
    axes.set_xlabel("levels read")
    axes.set_ylabel("share of the variance left (%)")
    title(axes, VARIANCE, legend=labels)


def _draw_sharing(axes: Axes, quality: TokenizerQuality) -> None:
    """Share of neighbours with an equal prefix and its lift, what is possible, and random pairs."""
    near = quality.neighbourhood
    if near is None:
        say_not_measured(axes, SHARING)
        return
    draw_shares(axes, [sharing.at_most for sharing in near.lengths], COLOURS[2], "dashed")
    draw_shares(axes, [sharing.random_pairs for sharing in near.lengths], COLOURS[1], "dotted")
    draw_shares(axes, [sharing.neighbours for sharing in near.lengths], COLOURS[0])
    labels = [
        line("neighbours", COLOURS[0], marker="o"),
        line("possible", COLOURS[2], "dashed"),
        line("random pairs", COLOURS[1], "dotted"),
    ]
    lengths = range(1, len(near.lengths) + 1)
    _frame_sharing(axes, lengths, labels)
    lifts = [_lift(sharing.lift) for sharing in near.lengths]
    if not any(lifts):
        return
    axes.set_xlabel("first codes that are equal, and the lift")
    axes.set_xticks(lengths, [f"{n}\n{lift}" for n, lift in zip(lengths, lifts, strict=True)])


def _lift(lift: float | None) -> str:
    if lift is None:
        return ""
    return f"{lift:,.0f}" if lift >= LARGE_LIFT else f"{lift:.1f}"


def _compare_sharing(axes: Axes, qualities: Qualities, colours: Colours) -> None:
    """Share of nearest neighbours and of random pairs with an equal prefix."""
    measured = {n: q.neighbourhood for n, q in qualities.items() if q.neighbourhood is not None}
    if not measured:
        say_not_measured(axes, SHARING)
        return
    for name, near in measured.items():
        colour, lengths = colours[name], near.lengths
        draw_shares(axes, [sharing.at_most for sharing in lengths], colour, "dashed")
        draw_shares(axes, [sharing.random_pairs for sharing in lengths], colour, "dotted")
        draw_shares(axes, [sharing.neighbours for sharing in lengths], colour)
    labels = [
        line("neighbours", GREY, marker="o"),
        line("possible", GREY, "dashed"),
        line("random pairs", GREY, "dotted"),
    ]
    longest = max(len(near.lengths) for near in measured.values())
    _frame_sharing(axes, range(1, longest + 1), labels)


def _frame_sharing(axes: Axes, lengths: range, labels: list[Line2D]) -> None:
    frame_shares(axes, lengths)
    axes.set_xlabel("first codes that are equal")
    axes.set_ylabel("share of pairs (%)")
    title(axes, SHARING, legend=labels)


def _draw_groups(axes: Axes, qualities: Qualities) -> None:
    """IDs by the number of items that have them."""
    bins = {name: group_size_bins(quality.use) for name, quality in qualities.items()}
    labels = list(max(bins.values(), key=len))
    width = 0.8 / len(bins)
    for position, counts in enumerate(bins.values()):
        shift = (position - (len(bins) - 1) / 2) * width
        heights = [counts.get(label, 0) for label in labels]
        places = [index + shift for index in range(len(labels))]
        bars = axes.bar(places, heights, width=0.92 * width, color=COLOURS[position])
        axes.bar_label(
            bars,
            [f"{height:,}" if height else "" for height in heights],
            padding=3,
            fontsize=9,
            rotation=0 if len(bins) == 1 else 90,
        )
    highest = max(max(counts.values()) for counts in bins.values())
    # Twelve times the highest leaves room for its number, also where it stands upright.
    axes.set(yscale="log", ylim=(0.7, 12 * highest), xlim=(-0.6, max(len(labels), 3) - 0.4))
    axes.set_xticks(range(len(labels)), labels)
    plain_numbers(axes.yaxis, highest)
    axes.set_xlabel("items that have the same ID")
    axes.set_ylabel("IDs")
    title(axes, "Collisions", subtitle="best: every ID has one item")
