"""A comparison of training methods as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from beamwise.evaluation.pruned_targets import FIRST_TOKENS, PrunedTargets
from beamwise.evaluation.significance import Interval
from beamwise.report.markdown import table
from beamwise.report.numbers import (
    ABSENT,
    decimal,
    duration,
    interval_text,
    p_text,
    percent,
    signed,
)
from beamwise.report.objective_comparison import (
    ComparisonFigures,
    MethodFigures,
    MetricFigures,
    RunFigures,
    training_seconds,
    verdict,
)
from beamwise.report.objective_comparison_text import (
    BESIDE_THE_PAPER,
    HOW_TO_READ,
    SETTINGS_TRIED,
    WHAT_IMPROVED,
    WHAT_WAS_LOST,
)

SEARCHES = {"Beam search": "", "Exact ranking": "_full_sort"}
"""Heading, and end of the names of metrics."""


def comparison_markdown(figures: ComparisonFigures, picture: str | None = None) -> str:
    """The whole report.

    Args:
        figures: What to say.
        picture: File name of the picture beside the report.
    """
    parts = [f"# {figures.title}", _introduction(figures), _missing(figures)]
    parts += [f"![differences and what the beam lost]({picture})"] if picture else []
    if figures.printed:
        parts += ["## Beside the paper", BESIDE_THE_PAPER, _printed_table(figures)]
    for heading, end in SEARCHES.items():
        parts += [f"## {heading}", _metric_table(figures, end)]
    parts += [f"## Model or survival, recall@{figures.ks[-1]}", WHAT_IMPROVED]
    parts += [_cause_table(figures), "## What the beam lost", WHAT_WAS_LOST]
    parts += [_survival_table(figures)]
    parts += ["## By item", _by_item_table(figures)]
    parts += ["## Training", _training_table(figures), *_grids(figures)]
    parts += ["## Made by", _makers_table(figures)] if figures.made_by else []
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduction(figures: ComparisonFigures) -> str:
    others = len(figures.methods) - 1
    return HOW_TO_READ.format(
        users=figures.users,
        leaves=figures.leaves,
        beam_width=figures.beam_width,
        selection=figures.selection,
        baseline=figures.baseline,
        resamples=figures.resamples,
        others=others,
    )


def _missing(figures: ComparisonFigures) -> str:
    if not figures.missing:
        return ""
    lines = [f"- {name}: {what}" for name, what in figures.missing.items()]
    return "\n".join(["Not there yet:", "", *lines])


def _printed_table(figures: ComparisonFigures) -> str:
    """What the paper prints, ours under beam search, and whether that is the same."""
    ours = {method.name: method.metrics for method in figures.methods}
    names = list(figures.printed[0].published)
    rows = []
    for row in figures.printed:
        cells = []
        for name in names:
            interval = ours[row.method][name].interval
            cells.append(f"{decimal(row.published[name])}<br>{_mean_text(interval)}")
        rows.append((row.method, *cells, row.level or ABSENT, row.direction_text or ABSENT))
    return table(("method", *names, "level", "direction"), rows)


def _metric_table(figures: ComparisonFigures, end: str) -> str:
    """Means over seeds with intervals, and differences to the baseline below them."""
    keys = {
        f"{short}@{k}": f"{metric}@{k}{end}"
        for short, metric in (("R", "recall"), ("N", "ndcg"))
        for k in figures.ks
    }
    rows = [
        (
            method.name,
            str(len(method.seeds)),
            *(_cell(method.metrics[key]) for key in keys.values()),
        )
        for method in figures.methods
    ]
    return table(("method", "seeds", *keys), rows)


def _cell(figures: MetricFigures) -> str:
    interval, test = figures.interval, figures.test
    spread = ABSENT if interval.std is None else decimal(interval.std)
    mean = f"{_mean_text(interval)}, std {spread}"
    return mean if test is None else f"{mean}<br>{_difference(figures)}"


def _mean_text(interval: Interval) -> str:
    return f"{decimal(interval.mean)} {interval_text(interval.low, interval.high, decimal)}"


def _difference(figures: MetricFigures) -> str:
    """Of a method that is not the baseline; bold where it is established."""
    test, p = figures.test, figures.holm_p
    if test is None or p is None:
        return ABSENT
    text = f"{signed(test.difference)} {interval_text(test.low, test.high, signed)}, p {p_text(p)}"
    return f"**{text}**" if figures.is_established else text


def _cause_table(figures: ComparisonFigures) -> str:
    k = figures.ks[-1]
    header = ("method", f"beam, R@{k}", f"model: exact, R@{k}", "survival: beam - exact", "says")
    keys = (f"recall@{k}", f"recall@{k}_full_sort", f"survival@{k}")
    rows = [
        (method.name, *(_difference(method.metrics[key]) for key in keys), verdict(method, k))
        for method in _others(figures)
    ]
    return table(header, rows) if rows else "There is nothing to compare with yet."


def _survival_table(figures: ComparisonFigures) -> str:
    k = figures.ks[-1]
    header = (
        "method",
        f"targets in the exact best {k}",
        "of these pruned by the beam",
        f"pruned at token {', '.join(str(number) for number in range(1, FIRST_TOKENS + 1))}, later",
        "and one token explains it",
        "returned only as better items were pruned",
        f"of the exact best {k}, kept",
    )
    rows = []
    for method in figures.methods:
        counts = method.survival
        in_best = counts.found + counts.pruned
        pruned = percent(counts.pruned / in_best) if in_best else ABSENT
        retention = percent(counts.retained_leaves / counts.best_leaves)
        rows.append(
            (
                method.name,
                f"{in_best:,}",
                f"{counts.pruned:,} ({pruned})",
                *_where_pruned(method.pruned),
                f"{counts.promoted:,}",
                retention,
            )
        )
    return table(header, rows)


def _where_pruned(told: PrunedTargets | None) -> tuple[str, str]:
    if told is None:
        return ABSENT, ABSENT
    share = f" ({percent(told.by_token / told.total)})" if told.total else ""
    at = ", ".join(f"{count:,}" for count in told.at_first_tokens)
    return at, f"{told.by_token:,}{share}"


def _by_item_table(figures: ComparisonFigures) -> str:
    names = list(figures.methods[0].by_item)
    rows = [(m.name, *(decimal(m.by_item[name]) for name in names)) for m in figures.methods]
    heads = [
        name.removesuffix("_full_sort").removesuffix("_by_item")
        + (", exact" if name.endswith("_full_sort") else ", beam")
        for name in names
    ]
    return table(("method", *heads), rows)


def _training_table(figures: ComparisonFigures) -> str:
    header = (
        "method", "objective", "starts from", "epochs", "seconds an epoch",
        f"best validation {figures.selection}", "settings tried", "training of all",
    )  # fmt: skip
    rows = []
    for method in figures.methods:
        validations = [r.best_validation for r in method.runs if r.best_validation is not None]
        rows.append(
            (
                method.name,
                method.objective,
                method.start_from or ABSENT,
                f"{_mean([run.epochs for run in method.runs]):.1f}",
                _seconds_per_epoch(method.runs),
                decimal(_mean(validations)) if validations else ABSENT,
                str(max(1, len(method.tried))),
                duration(training_seconds([*method.runs, *_not_final(method)])),
            )
        )
    return table(header, rows)


def _makers_table(figures: ComparisonFigures) -> str:
    rows = [
        (str(maker.runs), maker.code or "not said", maker.machine or "not said")
        for maker in figures.made_by
    ]
    return table(("runs", "code", "machine"), rows)


def _grids(figures: ComparisonFigures) -> Iterator[str]:
    with_grid = [method for method in figures.methods if method.tried]
    if with_grid:
        yield "## Settings tried"
        yield SETTINGS_TRIED.format(selection=figures.selection)
    for method in with_grid:
        rows = []
        for point in method.tried:
            is_chosen = point.settings == method.chosen
            settings = ", ".join(f"`{name}={value}`" for name, value in point.settings.items())
            rows.append(
                (
                    f"**{settings}**" if is_chosen else settings,
                    str(len(point.runs)),
                    decimal(point.validation),
                    duration(training_seconds(point.runs)),
                )
            )
        header = (method.name, "runs", f"validation {figures.selection}", "training")
        yield table(header, rows)


def _others(figures: ComparisonFigures) -> list[MethodFigures]:
    return [method for method in figures.methods if method.name != figures.baseline]


def _not_final(method: MethodFigures) -> list[RunFigures]:
    """Runs of its grid that are not among those that were tested."""
    return [
        run
        for point in method.tried
        for run in point.runs
        if point.settings != method.chosen or run.seed not in method.seeds
    ]


def _seconds_per_epoch(runs: Sequence[RunFigures]) -> str:
    total = training_seconds(runs)
    epochs = sum(run.epochs for run in runs)
    return ABSENT if total is None or epochs == 0 else f"{total / epochs:.1f}"


def _mean(values: Sequence[float | int]) -> float:
    return sum(values) / len(values)
