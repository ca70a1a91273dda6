"""Evaluations of several runs side by side, as rows to print or to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from beamwise.evaluation import Evaluation
from beamwise.evaluation.evaluation import BeamWidth
from beamwise.evaluation.pruned_targets import FIRST_TOKENS, PrunedTargets
from beamwise.report.leaf_names import SEMANTIC_ID

SURVIVAL_ROWS = {
    "found": "found by both",
    "pruned": "in the full ranking, dropped by the beam",
    "promoted": "returned only because better items were dropped",
    "outscored": "in neither",
}


class Row(NamedTuple):
    """One measure of every run; None where a run was not asked for it."""

    group: str
    measure: str
    values: tuple[str | None, ...]


def comparison(evaluations: Mapping[str, Evaluation], leaves: str = SEMANTIC_ID) -> list[Row]:
    """Recall and NDCG by leaf and by item under each search, then what the beam lost.

    A baseline ranks all items without a search: its figures stand in the first rows, those of beam
    search, and nothing in the others.

    Args:
        evaluations: By the name of the run or baseline.
        leaves: What the leaves of the runs' catalogs are called, as `leaf_names` has it.

    Raises:
        ValueError: If there are none.
    """
    if not evaluations:
        raise ValueError("there are no evaluations to compare: give at least one run")
    runs = list(evaluations.values())
    cutoffs = sorted({k for run in runs for k in run.config.ks})
    rows = [
        _metric(runs, f"{search}, by {counted}", f"{metric}@{k}", f"{metric}@{k}{suffix}{end}")
        for search, end in (("beam search", ""), ("full sort", "_full_sort"))
        for counted, suffix in ((leaves, ""), ("item", "_by_item"))
        for metric in ("recall", "ndcg")
        for k in cutoffs
    ]
    rows.extend(_beams(runs))
    rows.extend(_survival(runs))
    return [row for row in rows if any(value is not None for value in row.values)]


def _metric(runs: list[Evaluation], group: str, measure: str, key: str) -> Row:
    values = (run.summary.get(key) for run in runs)
    return Row(group, measure, tuple(None if v is None else f"{v:.4f}" for v in values))


def _beams(runs: list[Evaluation]) -> list[Row]:
    """How each run was searched, and how often that was proved exact; nothing of baselines."""
    searched = [None if run.baseline else run for run in runs]
    kept = [run and _width(run.config.beam_width) for run in searched]
    masks = [run and f"{run.config.mask} the softmax" for run in searched]
    exact = [run and f"{run.summary['exact']:.1%}" for run in searched]
    return [
        Row("beam", "prefixes kept after each token", tuple(kept)),
        Row("beam", "illegal tokens masked", tuple(masks)),
        Row("beam", "users whose result is proved exact", tuple(exact)),
    ]


def _width(beam_width: BeamWidth) -> str:
    return str(beam_width) if isinstance(beam_width, int) else ", ".join(map(str, beam_width))


def _pruned(told: list[PrunedTargets | None]) -> list[Row]:
    """At which tokens the beam dropped the targets that it should have returned."""
    at = (each and ", ".join(f"{n:,}" for n in each.at_first_tokens) for each in told)
    tokens = ", ".join(str(number) for number in range(1, FIRST_TOKENS + 1))
    by_token = (each and f"{each.by_token:,}" for each in told)
    return [
        Row("targets", f"dropped at token {tokens}, later", tuple(at)),
        Row("targets", "dropped, and one token explains it", tuple(by_token)),
    ]


def _survival(runs: list[Evaluation]) -> list[Row]:
    rows = []
    for name, measure in SURVIVAL_ROWS.items():
        counts = [None if run.survival is None else vars(run.survival)[name] for run in runs]
        shown = tuple(None if count is None else f"{count:,}" for count in counts)
        rows.append(Row("targets", measure, shown))
    rows.extend(_pruned([run.pruned for run in runs]))
    shares = [None if run.survival is None else run.survival.shares() for run in runs]
    kept = tuple(None if share is None else f"{share['retention']:.1%}" for share in shares)
    rows.append(Row("beam", "of the best items, kept", kept))
    return rows
