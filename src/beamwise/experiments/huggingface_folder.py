"""A model folder that `transformers` saved, as a backbone, and what its token ids mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import CRITICAL
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.backbones import Llama, Tiger
from beamwise.backbones.base import START_TOKEN
from beamwise.catalog import END_TOKEN

ARCHITECTURES = {"t5": "T5ForConditionalGeneration", "llama": "LlamaForCausalLM"}
"""By `model_type` of config.json, what can be opened."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
LONGEST_REASON = 200
"""Characters of another library's message that ours repeats."""


@dataclass(frozen=True)
class Vocabulary:
    """A foreign model's token ids beside ours.

    Here token 0 starts a decoder and token 1 ends a history. A vocabulary is only names for rows of
    the embedding, so where the model has these two elsewhere, rows change places: the model's start
    and end with what stands at 0 and 1. No probability changes.
    """

    size: int
    start: int | None
    """The model's `decoder_start_token_id`; None for a Llama, which has no start token."""
    end: int
    """The model's `eos_token_id`."""
    pad: int | None
    """The model's `pad_token_id`. Nothing reads it here: lengths say what counts."""

    @property
    def theirs(self) -> Int64[Tensor, " vocab"]:
        """The model's id of each of our tokens."""
        order = list(range(self.size))
        for place, token in ((START_TOKEN, self.start), (END_TOKEN, self.end)):
            if token is not None:
                where = order.index(token)
                order[place], order[where] = order[where], order[place]
        return torch.tensor(order)

    @property
    def ours(self) -> Int64[Tensor, " vocab"]:
        """Our token for each id of the model."""
        return self.theirs.argsort()

    @property
    def roles(self) -> dict[str, int]:
        """The model's ids that stand for no part of an item, by their setting in config.json."""
        roles = {
            "decoder_start_token_id": self.start,
            "eos_token_id": self.end,
            "pad_token_id": self.pad,
        }
        return {name: token for name, token in roles.items() if token is not None}


def open_huggingface(folder: Path) -> tuple[Tiger | Llama, Vocabulary]:
    """Open a folder with a T5 or a Llama that `save_pretrained` wrote.

    Args:
        folder: Holds config.json and model.safetensors; nothing else of it is read, and nothing is
            fetched from anywhere.

    Returns:
        The backbone in fp32 and evaluation mode, its tokens renamed to ours, and the renaming.

    Raises:
        ValueError: One line, if the folder is no model or another one, its weights are missing,
            incomplete or damaged, it has a part that our backbones have not, or its special tokens
            are not what a recommender needs.
    """
    kind = _kind_of(folder)
    _check_weights(folder)
    model = _loaded(folder, kind)
    vocabulary = _vocabulary_of(folder, kind, model.config)
    if kind == "t5":
        model.config.decoder_start_token_id = START_TOKEN  # where the start token is moved to
    try:
        backbone = (Tiger if kind == "t5" else Llama).from_huggingface(model)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    with torch.no_grad():
        backbone.embedding.weight.copy_(backbone.embedding.weight[vocabulary.theirs])
    return backbone.eval(), vocabulary


def _kind_of(folder: Path) -> str:
    """The `model_type`, after a check of config.json."""
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(
            f"{folder} is no model folder, it has no config.json: give a folder that "
            "`save_pretrained` wrote"
        )
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is not JSON: save the model again") from None
    settings = content if isinstance(content, dict) else {}
    kind, classes = settings.get("model_type"), settings.get("architectures")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise ValueError(f"{path} has model_type={kind!r}: give one of {', '.join(ARCHITECTURES)}")
    if isinstance(classes, list) and classes and ARCHITECTURES[kind] not in classes:
        raise ValueError(
            f"{path} has architectures={classes}: give a model saved as {ARCHITECTURES[kind]}"
        )
    return kind


def _check_weights(folder: Path) -> None:
    if any((folder / name).is_file() for name in WEIGHTS):
        return
    if any(folder.glob("pytorch_model*.bin")):
        raise ValueError(
            f"{folder} has its weights as a pickle only, which can run any code: load it where you "
            "trust it and save it again with save_pretrained(safe_serialization=True)"
        )
    raise ValueError(f"{folder} has no weights: {WEIGHTS[0]} is missing, save the model again")


def _loaded(folder: Path, kind: str) -> Any:
    try:
        import transformers
    except ImportError:
        raise ValueError(
            f"the model {folder} needs transformers: pip install 'beamwise[text]'"
        ) from None
    classes = {
        "t5": transformers.T5ForConditionalGeneration,
        "llama": transformers.LlamaForCausalLM,
    }
    try:
        with _quiet():
            model, report = classes[kind].from_pretrained(
                folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:  # a damaged folder fails in as many ways as there are formats
        reason = " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
        raise ValueError(f"{folder} is no readable model ({reason}): save it again") from None
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"{folder} lacks {len(missing)} of the model's weights, as {missing[0]}: save the "
            "whole model again"
        )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars and reports; what is wrong is said in one line afterwards."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
        logging.set_verbosity(before)


def _vocabulary_of(folder: Path, kind: str, config: Any) -> Vocabulary:
    start = config.decoder_start_token_id if kind == "t5" else None
    needed = {"eos_token_id": config.eos_token_id}
    if kind == "t5":
        needed["decoder_start_token_id"] = start
    for name, token in needed.items():
        if not isinstance(token, int) or not 0 <= token < config.vocab_size:
            raise ValueError(
                f"{folder} has {name}={token} in config.json: set it to the one token 0.."
                f"{config.vocab_size - 1} that the model was trained with"
            )
    if start == config.eos_token_id:
        raise ValueError(
            f"{folder} has token {start} as decoder_start_token_id and as eos_token_id: set each "
            "to the token that the model was trained with"
        )
    if kind == "llama" and config.bos_token_id is not None:
        raise ValueError(
            f"{folder} has bos_token_id={config.bos_token_id}: a Llama reads the items' tokens "
            "alone here; if it was trained so, set bos_token_id to null in config.json, else train "
            "it without"
        )
    return Vocabulary(config.vocab_size, start, config.eos_token_id, config.pad_token_id)
