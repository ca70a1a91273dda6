"""The best of the methods that are not the paper's own, chosen on validation targets."""

from __future__ import annotations

from collections.abc import Sequence

from beamwise.report.objective_comparison import MethodFigures

OURS = "apao-"
"""Begins the names of the paper's own methods, and is in those of their second stages."""


def seeds_of_own(methods: Sequence[MethodFigures]) -> tuple[int, ...]:
    """Seeds that all of the paper's own methods have, on which they are compared."""
    own = [method.seeds for method in methods if method.name.startswith(OURS)]
    if not own:
        return ()
    return tuple(seed for seed in own[0] if all(seed in seeds for seeds in own))


def candidates(methods: Sequence[MethodFigures], seeds: Sequence[int]) -> tuple[str, ...]:
    """The other methods, as far as they have validated runs of all these seeds."""
    return tuple(
        method.name
        for method in methods
        if OURS not in method.name and set(seeds) <= set(_validations(method))
    )


def best_baseline(methods: Sequence[MethodFigures], seeds: Sequence[int]) -> MethodFigures:
    """The candidate whose best validation metric is highest, mean over the seeds compared.

    Raises:
        ValueError: If no seeds are compared, or no other method has runs of all of them.
    """
    names = candidates(methods, seeds) if seeds else ()
    if not names:
        listed = ", ".join(map(str, seeds)) or "none"
        raise ValueError(
            f"no method beside {OURS.rstrip('-')} has validated runs of all seeds that are "
            f"compared ({listed}): run one of them with these seeds"
        )
    others = [method for method in methods if method.name in names]
    return max(others, key=lambda method: _mean(method, seeds))


def _validations(method: MethodFigures) -> dict[int, float]:
    runs = {run.seed: run.best_validation for run in method.runs}
    return {seed: value for seed, value in runs.items() if value is not None}


def _mean(method: MethodFigures, seeds: Sequence[int]) -> float:
    values = _validations(method)
    return sum(values[seed] for seed in seeds) / len(seeds)
