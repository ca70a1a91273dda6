"""Table 1: cross-entropy, MSL, preference objectives and APAO, by recall and NDCG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from beamwise.evaluation.significance import PairedTest
from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.experiments.paper.best_baseline import (
    OURS,
    best_baseline,
    candidates,
    seeds_of_own,
)
from beamwise.experiments.paper.checks import check_printed_cutoffs
from beamwise.experiments.paper.comparison_parts import (
    beside_the_paper,
    difference_table,
    how_compared,
    recall_chart,
    short,
)
from beamwise.experiments.paper.evidence import Evidence, estimate, listed
from beamwise.experiments.paper.setting import CE, Setting
from beamwise.report.numbers import p_text
from beamwise.report.objective_comparison import MethodFigures
from beamwise.report.published_results import published
from beamwise.report.section import Column, Section, Table, Value

TEMPERATURES = (1.0, 2.0, 3.0)
"""Tried for MSL, as the APAO paper does."""
TUNED = "ce-tuned"
"""Cross-entropy with a grid of its own, as the others have, which the paper does not print."""


def comparison(setting: Setting) -> ComparisonConfig:
    """Cross-entropy, MSL, three preference objectives after it, and APAO in both forms.

    beta and eta of APAO are those of the paper's Table 5; settings of the others are chosen on the
    validation targets, and for `ce-tuned` the learning rate of cross-entropy is, so that it stands
    here tuned with equal care. MSL, which the paper has for TIGER only, is run for both.
    """
    return setting.comparison("Table 1", *methods(setting))


def methods(setting: Setting) -> tuple[MethodConfig, ...]:
    """The methods of the table, the baseline first."""
    tuned = MethodConfig(name=TUNED, grid={"training.learning_rate": setting.tuned_rates})
    masked = MethodConfig(
        name="msl",
        settings={"objective.name": "msl", "evaluation.mask": "before"},
        grid={"objective.temperature": TEMPERATURES},
    )
    preferences = (
        setting.preference("dpo", {"negatives.count": 1}),
        setting.preference("dmpo"),
        setting.preference("s-dpo"),
    )
    aligned = (setting.alignment("pointwise"), setting.alignment("pairwise"))
    return (CE, tuned, masked, *preferences, *aligned)


def check(config: ComparisonConfig, methods: Sequence[str]) -> None:
    """Refuse settings without the cutoffs that the paper prints.

    Raises:
        ValueError: If one is missing.
    """
    check_printed_cutoffs(config, methods)


def printed(setting: Setting) -> dict[str, dict[str, float]]:
    """What the paper prints for a data set."""
    return published("table1", setting.backbone, setting.dataset)


def section(evidence: Evidence) -> Section:
    """Ours beside the paper's, differences to cross-entropy, and APAO against the best baseline."""
    setting, figures = evidence.setting, evidence.figures
    comparison = beside_the_paper(evidence, printed(setting))
    best, gains = _against_best(evidence)
    return Section(
        name="table1",
        title="Table 1: methods by recall and NDCG",
        setting=setting.title,
        method=how_compared(evidence),
        findings=(*comparison.findings, *_gap_findings(evidence), *best),
        tables=(comparison.table, difference_table(figures), *gains),
        charts=(recall_chart(figures),),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )


def _against_best(evidence: Evidence) -> tuple[tuple[str, ...], tuple[Table, ...]]:
    """APAO against the best baseline, which is chosen on validation targets, not on the test's."""
    every = evidence.figures.methods
    if not any(method.name.startswith(OURS) for method in every):
        return (), ()
    seeds = seeds_of_own(every)
    among = candidates(every, seeds) if seeds else ()
    if not among:
        nobody = "no other method has validated runs of all seeds that its forms share"
        return (f"APAO against the best of the others: undefined, {nobody}.",), ()
    best = best_baseline(every, seeds)
    figures = evidence.against(best.name, seeds=seeds)
    theirs = next(method for method in figures.methods if method.name == best.name)
    own = [method for method in figures.methods if method.name.startswith(OURS)]
    names = [f"{metric}@{k}" for metric in ("recall", "ndcg") for k in figures.ks]
    table = Table(
        name="against-the-best",
        title=f"APAO against {best.name}, the best of the others on validation targets",
        columns=(
            Column(name="method"),
            Column(name="metric"),
            Column(name="relative", unit="share"),
            Column(name="difference", unit="difference"),
            Column(name="p (Holm)", unit="p"),
            Column(name="p of users alone", unit="p"),
        ),
        rows=tuple(row for method in own for row in _gains(method, theirs, names)),
        note=(
            f"{best.name} has the best validation metric among {', '.join(among)}, mean over "
            f"{listed(seeds)}, which is what is compared. p (Holm): over users and seeds, "
            "corrected for all methods. p of users alone: a paired t-test of users' means over "
            "seeds; it speaks of these trained models, not of the methods."
        ),
    )
    metric = f"recall@{figures.ks[-1]}"
    shown = (_best_finding(method, theirs, metric) for method in own)
    return (f"The best on validation targets among {', '.join(among)} is {best.name}.", *shown), (
        table,
    )


def _best_finding(method: MethodFigures, best: MethodFigures, metric: str) -> str:
    relative, p = _relative(method, best, metric), method.metrics[metric].holm_p
    share = "undefined" if relative is None else f"{relative:+.1%}"
    tested = "undefined" if p is None else p_text(p)
    return (
        f"{method.name} against {best.name}: {share} of {short(metric)}, p {tested} after Holm's "
        "correction."
    )


def _gains(
    method: MethodFigures, best: MethodFigures, names: list[str]
) -> Iterator[tuple[Value, ...]]:
    for name in names:
        test = method.metrics[name].test
        if test is not None:
            relative = _relative(method, best, name)
            p = method.metrics[name].holm_p
            yield (method.name, name, relative, estimate(test), p, test.t_test_p)


def _relative(method: MethodFigures, other: MethodFigures, name: str) -> float | None:
    """None where there is nothing to divide by."""
    mine, theirs = (each.metrics[name].interval.mean for each in (method, other))
    return mine / theirs - 1 if theirs else None


def _gap_findings(evidence: Evidence) -> Iterator[str]:
    """Whether exact ranking closes what APAO gains over cross-entropy."""
    figures = evidence.figures
    k = figures.ks[-1]
    beam, exact = f"recall@{k}", f"recall@{k}_full_sort"
    baseline = next(each for each in figures.methods if each.name == figures.baseline)
    yield (
        f"{baseline.name} finds R@{k} {baseline.metrics[beam].interval.mean:.4f} by beam search "
        f"and {baseline.metrics[exact].interval.mean:.4f} when the whole catalog is ranked exactly."
    )
    for method in figures.methods:
        tests = [method.metrics[name].test for name in (beam, exact)]
        if method.name.startswith(OURS) and method.seeds != baseline.seeds:
            tests = _on_shared_seeds(evidence, method, baseline, (beam, exact))
        of_beam, of_exact = (None if test is None else test.difference for test in tests)
        if method.name.startswith(OURS) and of_beam is not None and of_exact is not None:
            yield (
                f"{method.name} differs from it by {of_beam:+.4f} under beam search and by "
                f"{of_exact:+.4f} under exact ranking, where no search loses anything."
            )


def _on_shared_seeds(
    evidence: Evidence, method: MethodFigures, baseline: MethodFigures, names: Sequence[str]
) -> list[PairedTest | None]:
    """Differences to the baseline on the seeds that both have; None where they share none."""
    seeds = [seed for seed in method.seeds if seed in baseline.seeds]
    if not seeds:
        return [None for _ in names]
    figures = evidence.against(baseline.name, (baseline.name, method.name), seeds)
    found = next(each for each in figures.methods if each.name == method.name)
    return [found.metrics[name].test for name in names]
