"""A model to search with: that of a run folder, or one after some steps of cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workload import Setting, Sizes, build_trainer, describe_data, load_data, steps_of_epoch

from beamwise.backbones import Llama, Tiger
from beamwise.catalog import Catalog
from beamwise.training.run import open_run
from beamwise.training.run_data import RunData


@dataclass(frozen=True)
class Model:
    """What is measured: a model under its own mask, in evaluation mode."""

    name: str
    backbone: Tiger | Llama
    data: RunData
    catalog: Catalog
    mask: str

    @classmethod
    def of_run(cls, folder: Path) -> Model:
        """A run's model, its data described on a line.

        Raises:
            ValueError: If the run's model is none that there is an alternative to.
        """
        run = open_run(folder)
        if not isinstance(run.backbone, Tiger | Llama):
            raise ValueError(f"{folder} is no run of a TIGER or Llama: there is no alternative")
        data = RunData.load(run.config.data)
        describe_data(run.config.data.folder, data)
        mask = run.config.evaluation.mask
        return cls(str(folder), run.backbone.eval(), data, run.catalog, mask)

    @classmethod
    def after_steps(cls, folder: Path | None, sizes: Sizes, name: str, num_steps: int) -> Model:
        """A model trained here on the data in `folder`: on fresh weights items are nearly tied."""
        data = load_data(folder, sizes)
        describe_data(folder, data)
        trainer = build_trainer(data, sizes, Setting(name))
        steps = steps_of_epoch(trainer, num_steps)
        for index in range(num_steps):
            trainer.step(steps, index)
        assert isinstance(trainer.backbone, Tiger | Llama)
        return cls(name, trainer.backbone.eval(), data, data.catalog, "after")
