"""What the experiments on titles share: BEAR's data sets, a language model, and the methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from beamwise.evaluation import EvaluationConfig
from beamwise.evaluation.survival_counts import SurvivalConfig
from beamwise.experiments.comparison_config import ComparisonConfig, MethodConfig
from beamwise.experiments.paper.setting import PREFERENCE_BETAS, Setting

TITLE_DATASETS, MODELS = ("office-titles", "toy-titles"), ("tiny", "smollm2")
KS, BEAM = (1, 5, 10), 10
WIDTHS = (5, 10, 20, 50)
NEGATIVES = 10
SECOND_STAGE = {
    "tiny": {"training.learning_rate": 3.0e-4, "training.epochs": 2},
    "smollm2": {"training.learning_rate": 1.0e-5, "training.epochs": 2},
}
"""Of preference objectives after plain fine-tuning; BEAR's summary says nothing of them."""


TEMPLATE = """### Instruction:
Given a list of {goods} before, please recommend a new {one} that the user likes to the user.

### Input:
{{history}}

### Response:
"""
PROMPTS = {
    "toy-titles": TEMPLATE.format(goods="toys the user has played", one="toy"),
    "office-titles": TEMPLATE.format(
        goods="office products the user has bought", one="office product"
    ),
}
"""BEAR's instruction, by data set; a model of fresh weights reads the list of titles alone."""


@dataclass(frozen=True)
class TitleSetting(Setting):
    """A data set with titles and a language model."""

    datasets: ClassVar[tuple[str, ...]] = TITLE_DATASETS
    backbones: ClassVar[tuple[str, ...]] = MODELS
    sizes: ClassVar[tuple[str, ...]] = ("paper",)

    @property
    def title(self) -> str:
        """As a reader sees it: `Office titles, SmolLM2-135M`."""
        model = {"tiny": "a small Llama of fresh weights", "smollm2": "SmolLM2-135M"}
        return f"{self.dataset.replace('-', ' ').capitalize()}, {model[self.backbone]}"

    @property
    def alignment_source(self) -> str:
        """Where beta and eta of APAO are from, in words."""
        return (
            "beta and eta that its paper has for Office and Llama, tuned there for semantic IDs "
            "and not for titles"
        )

    def comparison(
        self, name: str, *methods: MethodConfig, survival_of: tuple[str, ...] = ()
    ) -> ComparisonConfig:
        """Methods with the settings that all share: ten beams, hit rate and NDCG at 1, 5 and 10."""
        settings: dict[str, Any] = {
            "data.folder": str(self.data_folder),
            "negatives.count": NEGATIVES,
        }
        if self.backbone == "smollm2":
            settings["backbone.prompt.template"] = PROMPTS[self.dataset]
        return ComparisonConfig(
            title=f"{name}: {self.title}",
            preset=f"titles-{self.backbone}",
            settings=settings,
            methods=methods,
            baseline=methods[0].name,
            evaluation=EvaluationConfig(ks=KS, beam_width=BEAM, full_sort=True),
            survival=SurvivalConfig(ks=KS, beam_width=BEAM, widths=WIDTHS),
            survival_of=survival_of,
        )

    def preference(self, objective: str, settings: Mapping[str, Any] | None = None) -> MethodConfig:
        """A preference objective after plain fine-tuning, whose run is its reference too."""
        later = SECOND_STAGE[self.backbone]
        return MethodConfig(
            name=f"ce-{objective}",
            start_from="ce",
            settings={"objective.name": objective, **later, **(settings or {})},
            grid={"objective.beta": PREFERENCE_BETAS},
        )
