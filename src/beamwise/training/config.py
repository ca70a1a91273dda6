"""The complete description of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from beamwise.backbones import AnyBackboneConfig, TigerConfig
from beamwise.config import Config
from beamwise.data.splitting import AnySplitConfig, LeaveOneOutConfig
from beamwise.evaluation.evaluation import EvaluationConfig
from beamwise.objectives import AnyObjectiveConfig
from beamwise.objectives.cross_entropy import CrossEntropyConfig
from beamwise.sequences.negatives import NegativesConfig

CONFIG_FILE = "config.yaml"
"""Of a run folder."""


class DataConfig(Config):
    """Where the prepared and tokenized data lie, and how much of a history is read."""

    folder: Path
    """Folder that `beamwise prepare` wrote and `beamwise tokenize` gave a catalog."""
    max_history: PositiveInt = 20
    """Most recent items of a history that the model reads."""
    split: AnySplitConfig = LeaveOneOutConfig()
    """Which interactions are targets of training, of validation and of the test."""


class TrainingConfig(Config):
    """Optimisation; the defaults are those of the APAO paper."""

    epochs: PositiveInt = 200
    """Passes over the training targets at most; early stopping may need fewer."""
    batch_size: PositiveInt = 1024
    """Targets of an optimiser step, over all processes."""
    micro_batch_size: PositiveInt = 128
    """Targets that an objective looks at together where one's loss depends on the others', over all
    processes: adaptive weights and temperature, and bear's reweight."""
    packing: Literal["window", "stream"] = "window"
    """For backbones with a causal context: `window` computes targets of a user together where that
    changes no history; with `stream` all of them share rows, and histories run longer."""
    stream_items: PositiveInt | None = None
    """Most items of a history in a `stream`, >= 2 * data.max_history; where not set, just that."""
    chunk_size: PositiveInt | None = None
    """Most targets computed at once by one process: memory and speed. Where not set, as many as
    make about 3,000 tokens on a CPU, and 65,536 elsewhere. Weights with memory (eq17, algorithm1)
    see a micro-batch grow chunk by chunk; those without one (hard-max, released) have their
    micro-batches computed whole, whatever is set here."""
    learning_rate: PositiveFloat = 5e-4
    """The highest, after the warm-up."""
    warmup_fraction: float = Field(default=0.01, ge=0, le=1)
    """Share of all steps over which the learning rate rises from 0; a cosine to 0 follows."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Of AdamW."""
    clip_norm: PositiveFloat = 1.0
    """Largest norm of a step's gradient."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of matrix products; weights, residual stream and losses stay fp32."""
    seed: int = 0
    """Of weights, order, negatives and dropout."""
    checkpoint_steps: PositiveInt = 25
    """Optimiser steps between checkpoints; a run cut short loses at most so many."""
    log_steps: PositiveInt = 10
    """Optimiser steps between lines of metrics; each line waits for the device once."""

    @model_validator(mode="after")
    def _streams_where_asked(self) -> TrainingConfig:
        if self.stream_items is not None and self.packing != "stream":
            raise ValueError(
                f"stream_items={self.stream_items} with packing={self.packing}: it is for streams, "
                "set packing=stream or leave it out"
            )
        return self


class EarlyStoppingConfig(Config):
    """When to stop, judged on all validation targets."""

    metric: str = Field(default="ndcg@10", pattern=r"^(loss|(recall|ndcg)@[1-9][0-9]*)$")
    """`loss` of the objective, or recall@K or ndcg@K of beam search, K one of evaluation.ks."""
    patience: PositiveInt = 20
    """Validations without a new best before training stops."""
    every_epochs: PositiveInt = 1
    """Epochs between validations."""


class StageConfig(Config):
    """One of several stages of training; what is not set is as in the rest of the run's config."""

    objective: AnyObjectiveConfig
    """What the stage minimises."""
    epochs: PositiveInt | None = None
    """Passes over the training targets at most; `training.epochs` where not set."""
    learning_rate: PositiveFloat | None = None
    """The highest of the stage; `training.learning_rate` where not set."""
    negatives: NegativesConfig | None = None
    """Competitors in this stage; `negatives` where not set."""


class RunConfig(Config):
    """Everything that a run depends on; its folder keeps a complete copy."""

    out: Path
    """The run folder to write. One that holds the same unfinished run is continued."""
    data: DataConfig
    """The prepared and tokenized data: `data.folder` at least."""
    start_from: Path | None = None
    """Run folder whose best weights training begins with; fresh weights where not set."""
    backbone: AnyBackboneConfig = TigerConfig()
    """The model."""
    objective: AnyObjectiveConfig = CrossEntropyConfig()
    """What training minimises."""
    stages: tuple[StageConfig, ...] = ()
    """Training in several stages, each from the best weights of the one before it, with a schedule
    and an optimiser of its own; takes the place of `objective`."""
    negatives: NegativesConfig = NegativesConfig()
    """Sampled competitors, for objectives that ask for them."""
    training: TrainingConfig = TrainingConfig()
    """How it is minimised."""
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    """When training ends before its last epoch."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Validation while training, and what `evaluate` does unless told otherwise."""

    @model_validator(mode="after")
    def _measures_what_stops_it(self) -> RunConfig:
        cutoff = self.early_stopping.metric.partition("@")[2]
        if cutoff and int(cutoff) not in self.evaluation.ks:
            raise ValueError(
                f"early_stopping.metric {self.early_stopping.metric!r} is not measured with "
                f"evaluation.ks={list(self.evaluation.ks)}: add {cutoff} to them"
            )
        return self

    @model_validator(mode="after")
    def _has_one_objective(self) -> RunConfig:
        if self.stages and self.objective != CrossEntropyConfig():
            raise ValueError(
                f"objective.name={self.objective.name!r} beside stages: each of the stages has its "
                "own objective, so set no other"
            )
        return self

    def of_stages(self) -> tuple[RunConfig, ...]:
        """The config of every stage, without stages; the config itself where it has none."""
        if not self.stages:
            return (self,)
        return tuple(self._of_stage(stage) for stage in self.stages)

    def _of_stage(self, stage: StageConfig) -> RunConfig:
        changes = {"epochs": stage.epochs, "learning_rate": stage.learning_rate}
        changes = {name: value for name, value in changes.items() if value is not None}
        return self.model_copy(
            update={
                "stages": (),
                "objective": stage.objective,
                "training": self.training.model_copy(update=changes),
                "negatives": stage.negatives or self.negatives,
            }
        )
