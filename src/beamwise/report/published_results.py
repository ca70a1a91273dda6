"""Figures that a paper printed, beside ours: what reproduces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from beamwise.report.objective_comparison import ComparisonFigures, MethodFigures, Reproduction


@cache
def apao_tables() -> dict[str, Any]:
    """Tables 1, 3 and 5 of the APAO paper: `[table][backbone][method][dataset]`."""
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
    figures: ComparisonFigures, printed: Mapping[str, Mapping[str, float]]
) -> tuple[Reproduction, ...]:
    """Our figures of a comparison beside printed ones, for the methods that have both.

    A row is reproduced where every printed figure lies within our 95 % interval or below it, ours
    being better. Else, of a method that is not the baseline, its direction may be: every difference
    to the baseline has the sign that the printed ones have.
    """
    baseline = next(method for method in figures.methods if method.name == figures.baseline)
    return tuple(
        Reproduction(
            method.name,
            printed[method.name],
            _verdict(method, baseline, printed[method.name], printed.get(baseline.name)),
        )
        for method in figures.methods
        if method.name in printed
    )


def _verdict(
    method: MethodFigures,
    baseline: MethodFigures,
    printed: Mapping[str, float],
    printed_baseline: Mapping[str, float] | None,
) -> Literal["reproduced", "direction only", "not reproduced"]:
    if all(value <= method.metrics[name].interval.high for name, value in printed.items()):
        return "reproduced"
    if method is baseline or printed_baseline is None:
        return "not reproduced"
    ours = (_difference(method, baseline, name) for name in printed)
    theirs = (value - printed_baseline[name] for name, value in printed.items())
    same = all((our > 0) == (their > 0) for our, their in zip(ours, theirs, strict=True))
    return "direction only" if same else "not reproduced"


def _difference(method: MethodFigures, baseline: MethodFigures, name: str) -> float:
    return method.metrics[name].interval.mean - baseline.metrics[name].interval.mean
