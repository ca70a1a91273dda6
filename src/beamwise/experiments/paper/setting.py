"""What the paper's experiments share: a data set, a backbone, a size, and the methods compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.report.published_results import apao_tables
from beamwise.training.presets import preset

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
PREFERENCE_BETAS = (0.5, 1.0, 2.0)
"""Tried for preference objectives, as their papers do."""
PAPER_RATES = (3e-4, 5e-4, 1e-3)
"""Learning rates tried where cross-entropy is tuned, around that of the paper."""
SECOND_STAGE_RATES = {"paper": 5.0e-5, "small": 3.0e-4}
"""Learning rates of second stages, a tenth of the first's; the papers do not say theirs."""
SMALL_SURVIVAL_USERS = 1_000
"""Users of a survival report of the small size; all of the paper's."""
SORTED_USERS = 32
"""Users that a full sort is timed with."""


@dataclass(frozen=True)
class Setting:
    """A data set, a backbone and a size."""

    datasets: ClassVar[tuple[str, ...]] = DATASETS
    backbones: ClassVar[tuple[str, ...]] = BACKBONES
    sizes: ClassVar[tuple[str, ...]] = SIZES

    dataset: str
    """One of `datasets`, in whatever folder it lies."""
    backbone: str
    """One of `backbones`."""
    size: str = "paper"
    """One of `sizes`."""
    data: Path | None = None
    """Prepared and tokenized; data/DATASET where not given."""

    def __post_init__(self) -> None:
        for name in ("dataset", "backbone", "size"):
            value, known = getattr(self, name), getattr(self, f"{name}s")
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")

    @property
    def folder(self) -> str:
        """Of its runs in a store."""
        small = "" if self.size == "paper" else f"-{self.size}"
        return f"{self.dataset}-{self.backbone}{small}"

    @property
    def data_folder(self) -> Path:
        """Where its data are."""
        return self.data or Path("data") / self.dataset

    @property
    def title(self) -> str:
        """As a reader sees it: `Office, TIGER, small models`."""
        backbone = {"tiger": "TIGER", "llama": "Llama"}[self.backbone]
        small = "" if self.size == "paper" else ", small models"
        return f"{self.dataset.capitalize()}, {backbone}{small}"

    @property
    def alignment_source(self) -> str:
        """Where beta and eta of APAO are from, in words."""
        small = "" if self.size == "paper" else ", which are larger"
        return (
            "beta and eta of the paper's Table 5, which its authors tuned on validation targets of "
            f"their models{small}"
        )

    @property
    def tuned_rates(self) -> tuple[float, ...]:
        """Learning rates that `ce-tuned` tries."""
        if self.size == "paper":
            return PAPER_RATES
        own = float(preset(PRESETS[self.backbone, self.size])["training"]["learning_rate"])
        return (own / 2, own, 2 * own)

    def comparison(
        self, name: str, *methods: MethodConfig, survival_of: tuple[str, ...] = ()
    ) -> ComparisonConfig:
        """Methods with the settings that all share.

        Args:
            name: Of the table or figure, for the title.
            methods: The first one is the baseline.
            survival_of: Those whose runs get a survival report.
        """
        settings: dict[str, Any] = {"data.folder": str(self.data_folder)}
        users = None
        if self.size == "small":
            settings["negatives.count"] = SMALL_NEGATIVES
            users = SMALL_SURVIVAL_USERS
        return ComparisonConfig(
            title=f"{name}: {self.title}",
            preset=PRESETS[self.backbone, self.size],
            settings=settings,
            methods=methods,
            baseline=methods[0].name,
            survival=SurvivalConfig(max_users=users, full_sort_users=SORTED_USERS),
            survival_of=survival_of,
        )

    def preference(self, objective: str, settings: Mapping[str, Any] | None = None) -> MethodConfig:
        """A preference objective after cross-entropy, whose run is its reference too."""
        return MethodConfig(
            name=f"ce-{objective}",
            start_from="ce",
            settings={"objective.name": objective, **self._later, **(settings or {})},
            grid={"objective.beta": PREFERENCE_BETAS},
        )

    def alignment(
        self, variant: str, name: str = "", changes: Mapping[str, Any] | None = None
    ) -> MethodConfig:
        """APAO with beta and eta of Table 5, or with changes to them.

        Args:
            variant: pointwise or pairwise.
            name: Of the method; that of the objective where not given.
            changes: To the objective's settings.
        """
        objective = self._apao(variant) | dict(changes or {})
        return MethodConfig(name=name or f"apao-{variant}", settings={"objective": objective})

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


CE = MethodConfig(name="ce")
"""Cross-entropy, which all others are compared with."""
