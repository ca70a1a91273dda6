"""Table 3: alignment in one stage with cross-entropy, and in a second stage after it."""

from __future__ import annotations

from collections.abc import Sequence

from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.experiments.paper.checks import check_printed_cutoffs
from beamwise.experiments.paper.comparison_parts import (
    beside_the_paper,
    difference_table,
    how_compared,
    recall_chart,
)
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.setting import CE, Setting
from beamwise.report.published_results import published
from beamwise.report.section import Section

ONE_STAGE = "s-dpo-one-stage"
"""Without a reference, and with the initial weights where `-initial` follows."""


def comparison(setting: Setting) -> ComparisonConfig:
    """APAO and S-DPO in one stage, and after cross-entropy.

    In one stage S-DPO stands twice, with the initial weights as reference and with none, since the
    paper does not say which it had there. The paper has office and beauty.
    """
    return setting.comparison(
        "Table 3",
        CE,
        _one_stage(ONE_STAGE, "none"),
        _one_stage(f"{ONE_STAGE}-initial", "initial-weights"),
        setting.alignment("pointwise"),
        setting.alignment("pairwise"),
        setting.preference("s-dpo"),
        setting.alignment_alone("pointwise"),
        setting.alignment_alone("pairwise"),
    )


def _one_stage(name: str, reference: str) -> MethodConfig:
    objective = {"name": "s-dpo", "ce_weight": 1.0, "reference": reference}
    return MethodConfig(name=name, settings={"objective": objective})


def check(config: ComparisonConfig, methods: Sequence[str]) -> None:
    """Refuse settings without the cutoffs that the paper prints.

    Raises:
        ValueError: If one is missing.
    """
    check_printed_cutoffs(config, methods)


def printed(setting: Setting) -> dict[str, dict[str, float]]:
    """What the paper prints for a data set, none where it has not that.

    Its one-stage S-DPO stands beside both references, and cross-entropy, which this table leaves
    out, is that of its Table 1, so that differences to it have a direction.
    """
    rows = published("table3", setting.backbone, setting.dataset)
    if not rows:
        return {}
    metrics = next(iter(rows.values()))
    baseline = published("table1", setting.backbone, setting.dataset)[CE.name]
    rows[f"{ONE_STAGE}-initial"] = rows[ONE_STAGE]
    return {CE.name: {name: baseline[name] for name in metrics}, **rows}


def section(evidence: Evidence) -> Section:
    """Ours beside the paper's, where it has the data set, and differences to cross-entropy."""
    setting, figures = evidence.setting, evidence.figures
    theirs = printed(setting)
    shown = [beside_the_paper(evidence, theirs)] if theirs else []
    return Section(
        name="table3",
        title="Table 3: one stage and two",
        setting=setting.title,
        method=(
            *how_compared(evidence),
            "The paper does not say which reference its one-stage S-DPO had: its value stands "
            "beside both. Its Table 3 leaves out cross-entropy, whose value is that of its Table "
            "1.",
        ),
        findings=tuple(finding for each in shown for finding in each.findings),
        tables=(*(each.table for each in shown), difference_table(figures)),
        charts=(recall_chart(figures),),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )
