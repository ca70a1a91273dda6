"""What simulating beams costs: negatives mined by a search before every step, beside BEAR."""

from __future__ import annotations

from typing import Any

from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.title_setting import BEAM
from beamwise.experiments.paper.training_cost import HOW_TIMED, Costs, cost_charts, cost_table
from beamwise.report.section import Section

PAPER = 4.45
"""Times plain fine-tuning that the paper says simulating beams takes, or more."""
PRINTED = {f"paper, simulated beams: over {PAPER}": PAPER}
"""Marked in the chart."""
PLAIN, SIMULATED = "one-epoch-ce", "one-epoch-simulated"
OBJECTIVES: dict[str, dict[str, Any]] = {
    PLAIN: {"objective": {"name": "ce"}},
    "one-epoch-msl": {"objective": {"name": "msl"}},
    "one-epoch-bear": {"objective": {"name": "bear", "beam_width": BEAM}},
    SIMULATED: {
        "objective": {
            "name": "apao-pairwise",
            "levels": "branching",
            "max_prefixes": 4,
            "beam_width": BEAM,
        },
        "negatives": {"source": "beam", "mine_every": 1, "count": BEAM},
    },
}
"""One epoch each: nothing but its time is looked at."""


def comparison(setting: Setting) -> ComparisonConfig:
    """Objectives that only read the model's logits, and one that searches before every step."""
    methods = [
        MethodConfig(name=name, settings={**settings, "training.epochs": 1})
        for name, settings in OBJECTIVES.items()
    ]
    return setting.comparison("Simulated beams", *methods)


def section(evidence: Evidence) -> Section:
    """Seconds an epoch and ratios to plain fine-tuning."""
    ratio = Costs.of(evidence, PLAIN).ratio(SIMULATED)
    said = (
        ()
        if ratio is None
        else (f"Simulating beams takes {ratio.mean:.2f} times ce; the paper: over {PAPER}.",)
    )
    return Section(
        name="simulated-beams",
        title="BEAR: what simulating beams would cost",
        setting=evidence.setting.title,
        method=(
            "One epoch of every method, the search of each step included. The simulation searches "
            "with the model as it is, by our own beam search, and trains on the prefixes that kept "
            "the target out.",
            HOW_TIMED,
        ),
        findings=said,
        tables=(cost_table(evidence, PLAIN),),
        charts=cost_charts(evidence, PLAIN, lines_at=PRINTED),
        made_by=evidence.made_by,
        missing=evidence.missing,
        command=evidence.command,
    )
