"""Figures that a paper printed, beside ours: whether their level and direction reproduce."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from beamwise.report.objective_comparison import (
    ComparisonFigures,
    Direction,
    Level,
    MethodFigures,
    MetricFigures,
    Reproduction,
)


@cache
def apao_tables() -> dict[str, Any]:
    """Tables of the APAO paper.

    1, 3 and 5 are `[table][backbone][method][dataset]`; 4, which is of TIGER alone,
    `[table][method][dataset]` with seconds an epoch and epochs.
    """
    text = files("beamwise.report").joinpath("apao_tables.json").read_text(encoding="utf-8")
    return json.loads(text)


def published(table: str, backbone: str, dataset: str) -> dict[str, dict[str, float]]:
    """What a table of the APAO paper prints for a data set, by method; others are left out.

    Args:
        table: table1 or table3.
        backbone: tiger or llama.
        dataset: office, grocery, beauty or yelp.
    """
    rows = apao_tables()[table][backbone]
    return {method: row[dataset] for method, row in rows.items() if dataset in row}


def reproductions(
    figures: ComparisonFigures,
    printed: Mapping[str, Mapping[str, float]],
    *,
    levels: bool = True,
) -> tuple[Reproduction, ...]:
    """Our figures of a comparison beside printed ones, for the methods that have both.

    A level is undecided where one of our 95 % intervals holds the printed figure and is wider than
    it: too few users and seeds to say anything. It is reproduced where every printed figure lies
    within our interval or below it, ours being better; but where a figure is printed below the
    baseline's, the claim is that a method is bad, and ours must be below our baseline's too.

    The direction of a difference to the baseline holds where ours has the printed one's sign and is
    established after Holm's correction, and is opposite where one of the other sign is.

    Args:
        figures: Ours.
        printed: By method and metric; without the baseline's there are no directions.
        levels: Whether ours are of the paper's models, so that heights can be compared.
    """
    baseline = printed.get(figures.baseline, {})
    return tuple(
        _reproduction(method, printed[method.name], baseline, levels=levels)
        for method in figures.methods
        if method.name in printed
    )


def _reproduction(
    method: MethodFigures,
    printed: Mapping[str, float],
    baseline: Mapping[str, float],
    *,
    levels: bool,
) -> Reproduction:
    """Of one method; the baseline has no difference to itself."""
    differences = {
        name: value - baseline[name]
        for name, value in printed.items()
        if name in baseline and method.metrics[name].test is not None
    }
    return Reproduction(
        method=method.name,
        published=dict(printed),
        level=_level(method, printed, differences) if levels else None,
        directions={
            name: _direction(method.metrics[name], theirs)
            for name, theirs in differences.items()
            if theirs
        },
    )


def _level(
    method: MethodFigures, printed: Mapping[str, float], differences: Mapping[str, float]
) -> Level:
    intervals = {name: method.metrics[name].interval for name in printed}
    widths = {
        name: each.high - each.low
        for name, each in intervals.items()
        if each.low <= printed[name] <= each.high
    }
    if any(width > printed[name] for name, width in widths.items()):
        return "undecided"
    below = [name for name, theirs in differences.items() if theirs < 0]
    is_reached = all(value <= intervals[name].high for name, value in printed.items())
    is_below = all(_difference(method.metrics[name]) < 0 for name in below)
    return "reproduced" if is_reached and is_below else "not reproduced"


def _direction(ours: MetricFigures, theirs: float) -> Direction:
    if not ours.is_established:
        return "not established"
    return "holds" if (_difference(ours) > 0) == (theirs > 0) else "opposite"


def _difference(ours: MetricFigures) -> float:
    """To the baseline, of a method that is another."""
    assert ours.test is not None
    return ours.test.difference
