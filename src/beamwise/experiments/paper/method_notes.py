"""What a reader must know of how an experiment's methods were set: tuning, stages, masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from beamwise.experiments.comparison_config import MethodConfig
from beamwise.experiments.paper.evidence import Evidence, listed
from beamwise.training.config import RunConfig

ALIGNMENT = "apao-"
"""Begins the names of APAO's objectives."""


def how_set(evidence: Evidence) -> tuple[str, ...]:
    """Which methods were tuned on our validation targets and which were not, and how they mask."""
    parts = (*_tuned(evidence), *_second_stages(evidence), _negatives(evidence))
    return (" ".join(parts), _masks(evidence))


def intervals(evidence: Evidence) -> str:
    """What intervals and p of tested metrics say."""
    return (
        "Intervals and p of recall and NDCG are for users like these and further seeds "
        f"({evidence.figures.resamples:,} paired resamples of users, errors of seeds by Student's "
        "t, seed by seed where both methods have the same ones); of a method with one seed they "
        "are for that seed alone. p is corrected after Holm for the comparisons of a column, and "
        "an established difference has p < .05."
    )


def changes(changed: Sequence[str]) -> str:
    """Settings that are not the experiment's own."""
    return f"Settings that were changed: {', '.join(f'`{text}`' for text in changed)}."


def _methods(evidence: Evidence) -> list[MethodConfig]:
    methods = evidence.comparison.methods.values()
    return [method for method in methods if method.name in evidence.methods]


def _config(evidence: Evidence, method: MethodConfig) -> RunConfig:
    """Of any of its runs."""
    return next(evidence.comparison.any_runs(method.name)).config


def _tuned(evidence: Evidence) -> Iterator[str]:
    methods = _methods(evidence)
    with_grid = [method for method in methods if method.grid]
    if with_grid:
        tried = "; ".join(f"{method.name} ({_grid(method)})" for method in with_grid)
        on = listed(evidence.comparison.config.trial_seeds)
        yield f"Tuned on our validation targets, with {on}: {tried}."
    fixed = [method for method in methods if not method.grid]
    aligned = [
        method.name
        for method in fixed
        if _config(evidence, method).objective.name.startswith(ALIGNMENT)
    ]
    if aligned:
        yield f"Not tuned here: {', '.join(aligned)}, with {evidence.setting.alignment_source}."
    others = [method.name for method in fixed if method.name not in aligned]
    if others:
        yield f"Of one setting, that of their source or a default: {', '.join(others)}."


def _grid(method: MethodConfig) -> str:
    tried = {key: ", ".join(map(_text, values)) for key, values in method.grid.items()}
    return "; ".join(f"{key} of {values}" for key, values in tried.items())


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _second_stages(evidence: Evidence) -> Iterator[str]:
    later = [method for method in _methods(evidence) if method.start_from is not None]
    if not later:
        return
    rates = {f"{_config(evidence, method).training.learning_rate:g}" for method in later}
    limits = {str(_config(evidence, method).training.epochs) for method in later}
    names = ", ".join(f"{method.name} after {method.start_from}" for method in later)
    yield (
        f"Second stages ({names}) have a learning rate of {', '.join(sorted(rates))} and at most "
        f"{', '.join(sorted(limits))} epochs, which are ours and were not tuned: the papers do not "
        "say theirs."
    )


def _negatives(evidence: Evidence) -> str:
    count = _config(evidence, _methods(evidence)[0]).negatives.count
    of_paper = ", where the paper has 100" if evidence.setting.size == "small" else ""
    return (
        f"Objectives with negatives have {count} a target{of_paper}, unless their settings say "
        "otherwise."
    )


def _masks(evidence: Evidence) -> str:
    methods = _methods(evidence)
    before = [m.name for m in methods if _config(evidence, m).evaluation.mask == "before"]
    if not before:
        return "All methods decode with illegal tokens masked after the softmax."
    if len(before) == len(methods):
        return "All methods decode with illegal tokens masked before the softmax."
    return (
        f"Illegal tokens are masked before the softmax by {', '.join(before)}, after it by the "
        "others; a difference between the two kinds is of the loss and of the mask together."
    )
