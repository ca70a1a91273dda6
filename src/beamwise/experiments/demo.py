"""The demo: train with cross-entropy and with prefix alignment on a simulated shop, compare."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt

from beamwise.backbones.tiger import TigerConfig
from beamwise.config import Config, ConfigError, changed_config, read_config, write_config
from beamwise.data.dataset import CATALOG_FOLDER
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.evaluation import Evaluation, EvaluationConfig
from beamwise.experiments.evaluate_run import evaluate
from beamwise.objectives import AnyObjectiveConfig
from beamwise.objectives.cross_entropy import CrossEntropyConfig
from beamwise.objectives.prefix_alignment import PairwisePrefixAlignmentConfig
from beamwise.report.survival_plot import plot_survival
from beamwise.sequences.negatives import NegativesConfig
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids
from beamwise.training.config import DataConfig, EarlyStoppingConfig, RunConfig, TrainingConfig
from beamwise.training.run import train

SETTINGS_FILE = "demo.yaml"
"""Marks a folder as a demo's, and says with which settings it was made."""
DATA, RUNS, PICTURE = "data", "runs", "effect.png"


class DemoConfig(Config):
    """Sizes that train in a few minutes on two cores, and show what a narrow beam loses."""

    shop: SimulatedShopConfig = SimulatedShopConfig()
    backbone: TigerConfig = TigerConfig(
        dim=48,
        num_encoder_layers=1,
        num_decoder_layers=1,
        num_heads=3,
        head_dim=16,
        feedforward_dim=96,
        dropout=0.0,
    )
    objectives: tuple[AnyObjectiveConfig, ...] = Field(
        (
            CrossEntropyConfig(),
            PairwisePrefixAlignmentConfig(beta=0.5, prefix_weights="uniform"),
        ),
        min_length=1,
    )
    """One run each, by the objective's name."""
    max_history: PositiveInt = 10
    """Most recent items that the models read."""
    negatives: NegativesConfig = NegativesConfig(count=16)
    training: TrainingConfig = TrainingConfig(
        epochs=4,
        batch_size=128,
        micro_batch_size=128,
        chunk_size=128,
        learning_rate=4e-3,
        warmup_fraction=0.05,
    )
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig(metric="recall@10")
    evaluation: EvaluationConfig = EvaluationConfig(beam_width=10, ks=(5, 10), full_sort=True)

    def with_seed(self, seed: int) -> DemoConfig:
        """The same demo in another shop with other weights."""
        return changed_config(self, None, [f"shop.seed={seed}", f"training.seed={seed}"])

    def run(self, out: Path, objective: AnyObjectiveConfig) -> RunConfig:
        """The run of one objective in the demo folder `out`."""
        return RunConfig(
            out=out / RUNS / objective.name,
            data=DataConfig(folder=out / DATA, max_history=self.max_history),
            backbone=self.backbone,
            objective=objective,
            negatives=self.negatives,
            training=self.training,
            early_stopping=self.early_stopping,
            evaluation=self.evaluation,
        )


@dataclass(frozen=True)
class DemoResult:
    """What the demo made and measured."""

    data: Path
    runs: dict[str, Path]
    """Run folders, by objective."""
    evaluations: dict[str, Evaluation]
    """On the test targets, by objective."""
    picture: Path | None
    """What the beam lost, drawn; None where the settings leave the full sort out."""


@dataclass(frozen=True)
class DemoWatcher:
    """Told what the demo does."""

    step: Callable[[str], None]
    """A new step, in words."""
    training: Callable[[dict[str, Any]], None]
    """As `training.run.train` tells."""


def run_demo(out: Path, config: DemoConfig, watcher: DemoWatcher) -> DemoResult:
    """Prepare the shop, train and evaluate every objective; what is there already is kept.

    Args:
        out: A new or empty folder, or one of an earlier demo: with the same settings that demo is
            continued, with others it is replaced.
        config: Sizes.
        watcher: Told what happens.

    Raises:
        ValueError: If `out` holds anything else.
    """
    _claim(out, config)
    watcher.step(f"simulating a shop of {config.shop.num_users:,} users")
    _prepare(out / DATA, config)
    runs, evaluations = {}, {}
    for objective in config.objectives:
        watcher.step(f"training a small TIGER with {objective.name}")
        run = config.run(out, objective)
        train(run, watcher.training)
        watcher.step(f"ranking the test targets of {objective.name} by beam and by full sort")
        runs[objective.name] = run.out
        evaluations[objective.name] = evaluate(run.out)
    return DemoResult(out / DATA, runs, evaluations, _draw(out / PICTURE, evaluations))


def _draw(picture: Path, evaluations: dict[str, Evaluation]) -> Path | None:
    lost = {name: e.survival for name, e in evaluations.items() if e.survival is not None}
    if not lost:
        return None
    plot_survival(lost, next(iter(evaluations.values())).config.last_width, picture)
    return picture


def _claim(out: Path, config: DemoConfig) -> None:
    """Make `out` this demo's folder."""
    settings = out / SETTINGS_FILE
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: choose another --out")
    if out.exists() and any(out.iterdir()) and not settings.is_file():
        raise ValueError(f"{out} is not the folder of a demo: choose another --out")
    if settings.is_file() and _settings_of(settings) != config:
        shutil.rmtree(out / DATA, ignore_errors=True)
        shutil.rmtree(out / RUNS, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    write_config(config, settings)


def _settings_of(path: Path) -> DemoConfig | None:
    """The settings of an earlier demo; None where this version cannot read them."""
    try:
        return read_config(DemoConfig, path)
    except ConfigError:
        return None


def _prepare(folder: Path, config: DemoConfig) -> None:
    if (folder / CATALOG_FOLDER / "catalog.json").is_file():
        return
    dataset = read_simulated_shop(config.shop)
    dataset.save(folder, overwrite=True)
    catalog_from_semantic_ids(dataset).save(folder / CATALOG_FOLDER)
