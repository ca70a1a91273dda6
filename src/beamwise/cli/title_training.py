"""The command that trains a first language model on a catalog of titles."""

from __future__ import annotations

import shlex
from pathlib import Path

from beamwise._language_models import TINY
from beamwise.cli.parameters import setting
from beamwise.data.published_targets import TARGETS_FILE
from beamwise.tokenization.title_tokenizer import TitlesConfig

FIRST = ("data.max_history=10", "evaluation.mask=before")
"""Of a first training with any model. 10 titles are those of BEAR's experiments; more make prompts
long."""
FIRST_OF_TINY = (
    setting("backbone.prompt.template", "{history}\n"),  # it knows no words but those of titles
    "training.epochs=5",
    "training.batch_size=64",
    "training.micro_batch_size=64",
    "training.learning_rate=0.003",
)
FIRST_OF_OTHERS = ("backbone.lora.r=8", "training.epochs=3")


def training_command(folder: Path, config: TitlesConfig) -> str:
    """What a shell takes to train with the model that the titles were tokenized for.

    Args:
        folder: Of the dataset.
        config: Of its titles.
    """
    split = ["data.split.name=published"] if (folder / TARGETS_FILE).is_file() else []
    first = FIRST_OF_TINY if config.model == TINY else FIRST_OF_OTHERS
    model = ("backbone.name=pretrained", f"backbone.model={config.model}")
    told = [part for text in (*FIRST, *first, *split, *model) for part in ("--set", text)]
    return shlex.join(["beamwise", "train", "--data", str(folder), *told, "--out", "runs/first"])
