"""The comparisons behind the tables of the APAO paper, for every data set and backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.report.published_results import apao_tables

DATASETS, BACKBONES, SIZES = (
    ("office", "grocery", "beauty", "yelp"),
    ("tiger", "llama"),
    ("paper", "small"),
)
"""A size is that of the paper's models and training, or one that a CPU finishes."""
PRESETS = {
    ("tiger", "paper"): "apao-tiger",
    ("llama", "paper"): "apao-llama",
    ("tiger", "small"): "small",
    ("llama", "small"): "small-llama",
}
SMALL_NEGATIVES = 10
"""Of the small size, where 100 would take most of the time."""
BETAS = (0.5, 1.0, 2.0)
"""Tried for preference objectives, as their papers do."""
TEMPERATURES = (1.0, 2.0, 3.0)
"""Tried for MSL, as the APAO paper does."""
SECOND_STAGE_RATES = {"paper": 5.0e-5, "small": 3.0e-4}
"""Learning rates of second stages, a tenth of the first's; the papers do not say theirs."""


def table1(dataset: str, backbone: str, size: str = "paper") -> ComparisonConfig:
    """Cross-entropy, MSL, three preference objectives after it, and APAO in both forms.

    beta and eta of APAO are those of the paper's Table 5; settings of the others are chosen on the
    validation targets. MSL, which the paper has for TIGER only, is run for both.

    Args:
        dataset: One of `DATASETS`, in whatever folder it lies.
        backbone: One of `BACKBONES`.
        size: Which models.

    Raises:
        ValueError: If one is unknown.
    """
    setting = _Setting(dataset, backbone, size)
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
    return setting.comparison("Table 1", MethodConfig(name="ce"), masked, *preferences, *aligned)


def table3(dataset: str, backbone: str, size: str = "paper") -> ComparisonConfig:
    """APAO and S-DPO in one stage, and after cross-entropy.

    In one stage S-DPO stands twice, with the initial weights as reference and with none, since the
    paper does not say which it had there.

    Args:
        dataset: As for `table1`; the paper has office and beauty.
        backbone: As for `table1`.
        size: As for `table1`.

    Raises:
        ValueError: As `table1`.
    """
    setting = _Setting(dataset, backbone, size)
    return setting.comparison(
        "Table 3",
        MethodConfig(name="ce"),
        _one_stage("s-dpo-one-stage", "none"),
        _one_stage("s-dpo-one-stage-initial", "initial-weights"),
        setting.alignment("pointwise"),
        setting.alignment("pairwise"),
        setting.preference("s-dpo"),
        setting.alignment_alone("pointwise"),
        setting.alignment_alone("pairwise"),
    )


PAPER_TABLES: dict[str, Callable[[str, str, str], ComparisonConfig]] = {
    "table1": table1,
    "table3": table3,
}
"""By the name that `reproduce` knows."""


@dataclass(frozen=True)
class _Setting:
    """Data, model and size that the methods of a table share."""

    dataset: str
    backbone: str
    size: str

    def __post_init__(self) -> None:
        for name, known in (("dataset", DATASETS), ("backbone", BACKBONES), ("size", SIZES)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")

    def comparison(self, table: str, *methods: MethodConfig) -> ComparisonConfig:
        settings: dict[str, Any] = {"data.folder": f"data/{self.dataset}"}
        if self.size == "small":
            settings["negatives.count"] = SMALL_NEGATIVES
        models = {"paper": "", "small": ", small models"}[self.size]
        return ComparisonConfig(
            title=f"{table}: {self.dataset}, {self.backbone}{models}",
            preset=PRESETS[self.backbone, self.size],
            settings=settings,
            methods=methods,
        )

    def preference(self, objective: str, settings: Mapping[str, Any] | None = None) -> MethodConfig:
        """A preference objective after cross-entropy, whose run is its reference too."""
        return MethodConfig(
            name=f"ce-{objective}",
            start_from="ce",
            settings={"objective.name": objective, **self._later, **(settings or {})},
            grid={"objective.beta": BETAS},
        )

    def alignment(self, variant: str) -> MethodConfig:
        """APAO with beta and eta of Table 5."""
        return MethodConfig(name=f"apao-{variant}", settings={"objective": self._apao(variant)})

    def alignment_alone(self, variant: str) -> MethodConfig:
        """APAO's prefix-aware loss alone, after cross-entropy."""
        objective = {**self._apao(variant), "ce_weight": 0.0}
        return MethodConfig(
            name=f"ce-apao-{variant}",
            start_from="ce",
            settings={"objective": objective, **self._later},
        )

    def _apao(self, variant: str) -> dict[str, Any]:
        tuned = apao_tables()["table5"][self.backbone][f"apao-{variant}"][self.dataset]
        return {"name": f"apao-{variant}", **tuned}

    @property
    def _later(self) -> dict[str, Any]:
        """Settings of a second stage."""
        return {"training.learning_rate": SECOND_STAGE_RATES[self.size]}


def _one_stage(name: str, reference: str) -> MethodConfig:
    objective = {"name": "s-dpo", "ce_weight": 1.0, "reference": reference}
    return MethodConfig(name=name, settings={"objective": objective})
