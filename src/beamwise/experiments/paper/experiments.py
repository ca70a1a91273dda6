"""The experiments on runs, by the name that `reproduce` knows, in the order of `reproduce all`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.paper import (
    bear,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    own,
    simulated_beams,
    table1,
    table3,
    table4,
)
from beamwise.experiments.paper.checks import nothing
from beamwise.experiments.paper.evidence import Evidence
from beamwise.experiments.paper.setting import Setting
from beamwise.experiments.paper.title_setting import TitleSetting
from beamwise.report.section import Section


@dataclass(frozen=True)
class PaperExperiment:
    """What is trained for a table or figure, and what it shows of that."""

    comparison: Callable[[Setting], ComparisonConfig]
    section: Callable[[Evidence], Section]
    setting: type[Setting] = Setting
    """The kind of data set and backbone that it is of."""
    grids_on_all_seeds: bool = False
    """Whether every seed tries all values of a grid, because these are what is shown."""
    printed: Callable[[Setting], dict[str, dict[str, float]]] | None = None
    """The paper's figures, which stand beside ours in the report on the runs."""
    check: Callable[[ComparisonConfig, Sequence[str]], None] = nothing
    """Refuses settings and methods that its section cannot be made of, before any run."""
    prepare: Callable[[Setting], Path] | None = None
    """Makes data that it needs beside the setting's, and names their folder."""
    is_view: bool = False
    """Whether it shows runs of Table 1 from another side, and has no report on runs of its own."""


EXPERIMENTS: dict[str, PaperExperiment] = {
    "table1": PaperExperiment(
        table1.comparison, table1.section, printed=table1.printed, check=table1.check
    ),
    "table4": PaperExperiment(table4.comparison, table4.section, is_view=True),
    "figure1": PaperExperiment(
        figure1.comparison, figure1.section, check=figure1.check, is_view=True
    ),
    "figure4": PaperExperiment(
        figure4.comparison, figure4.section, check=figure4.check, is_view=True
    ),
    "figure5": PaperExperiment(
        figure5.comparison, figure5.section, check=figure5.check, is_view=True
    ),
    "table3": PaperExperiment(
        table3.comparison, table3.section, printed=table3.printed, check=table3.check
    ),
    "own": PaperExperiment(own.comparison, own.section, prepare=own.prepare),
    "figure2": PaperExperiment(figure2.comparison, figure2.section),
    "figure3": PaperExperiment(figure3.comparison, figure3.section, grids_on_all_seeds=True),
    "bear": PaperExperiment(bear.comparison, bear.section, check=bear.check, setting=TitleSetting),
    "simulated-beams": PaperExperiment(
        simulated_beams.comparison, simulated_beams.section, setting=TitleSetting
    ),
}
