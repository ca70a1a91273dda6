"""Table 4: seconds an epoch, and epochs to convergence."""

from __future__ import annotations

from collections.abc import Iterator

from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.paper import table1
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.setting import CE, Setting
from beamwise.experiments.paper.training_cost import HOW_TIMED, Costs, cost_charts, cost_table
from beamwise.report.published_results import apao_tables
from beamwise.report.section import Section


def comparison(setting: Setting) -> ComparisonConfig:
    """The runs of Table 1."""
    return table1.comparison(setting).model_copy(update={"title": f"Table 4: {setting.title}"})


def section(evidence: Evidence) -> Section:
    """Times and epochs from the logs of the tested runs, and their ratios to cross-entropy."""
    printed = _printed(evidence.setting)
    return Section(
        name="table4",
        title="Table 4: cost of training",
        setting=evidence.setting.title,
        method=(
            HOW_TIMED,
            "The paper's seconds are for one A100 with 40 GB, TIGER, and include what its code "
            "does besides. So columns of seconds do not compare, ratios to ce do. It does not say "
            "whether its epochs are those trained or the best one, nor whether those of a "
            "second stage, and the time that it takes, include the first: both are given.",
        ),
        findings=tuple(_findings(evidence, printed)),
        tables=(cost_table(evidence, CE.name, printed or None),),
        charts=cost_charts(evidence, CE.name, printed),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )


def _printed(setting: Setting) -> dict[str, tuple[float, int]]:
    """Seconds an epoch and epochs that the paper has, which is of TIGER only."""
    if setting.backbone != "tiger":
        return {}
    rows = {
        method: row[setting.dataset]
        for method, row in apao_tables()["table4"].items()
        if setting.dataset in row
    }
    return {method: (float(seconds), int(epochs)) for method, (seconds, epochs) in rows.items()}


def _findings(evidence: Evidence, printed: dict[str, tuple[float, int]]) -> Iterator[str]:
    costs = Costs.of(evidence, CE.name)
    for method in evidence.figures.methods:
        ratio = costs.ratio(method.name)
        if ratio is None or method.name == CE.name:
            continue
        beside = ""
        if method.name in printed:
            theirs = printed[method.name][0] / printed[CE.name][0]
            beside = f"; the paper: {theirs:.2f}"
        yield f"{method.name} takes {ratio.mean:.2f} times the seconds of ce an epoch{beside}."
