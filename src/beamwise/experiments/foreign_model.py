"""A model that was trained elsewhere, with a catalog file and data, as if it were a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from jaxtyping import Int64
from pydantic import PositiveInt
from torch import Tensor

from beamwise.catalog import NUM_SPECIAL_TOKENS, Catalog
from beamwise.config import Config
from beamwise.data.dataset import TOKENIZER_FOLDER, Dataset
from beamwise.data.splitting import (
    AnySplitConfig,
    LeaveOneOutConfig,
)
from beamwise.experiments.huggingface_folder import Vocabulary, open_huggingface
from beamwise.tokenization.semantic_id_files import read_semantic_ids
from beamwise.tokenization.title_tokenizer import TEXT_FOLDER
from beamwise.training.config import DataConfig, RunConfig
from beamwise.training.run import Run
from beamwise.training.run_data import RunData


class ForeignModelConfig(Config):
    """A model of `transformers`, what its tokens mean, and the users to ask it about."""

    model: Path
    """Folder with a T5ForConditionalGeneration or a LlamaForCausalLM (`save_pretrained`)."""
    catalog: Path
    """The items' tokens: CSV, TSV or Parquet with item_id and codes, .npy with a row an item in
    the dataset's order, or the catalog folder of a dataset."""
    data: Path
    """Folder that `beamwise prepare` wrote: its items are those of the catalog."""
    codebook_size: PositiveInt | None = None
    """Where given, the file holds codes, and token = 2 + level * codebook_size + code, levels from
    0. Where not, it holds tokens of the model's vocabulary as they are."""
    end_token: bool = False
    """Whether every item also ends with the model's end token, as in released code."""
    max_history: PositiveInt = 20
    """Most recent items of a history that the model reads."""
    split: AnySplitConfig = LeaveOneOutConfig()
    """Which interactions are targets of validation and of the test."""


@dataclass(frozen=True, eq=False)
class ForeignModel:
    """What evaluation needs of a run, made from a foreign model."""

    run: Run
    """Of its config only `backbone`, `data` and `evaluation` mean anything: it was not trained
    here, and its folder is the model's, in which nothing is written."""
    data: RunData


def open_foreign_model(
    config: ForeignModelConfig, device: torch.device | str = "cpu"
) -> ForeignModel:
    """Open model, catalog and data, after a check that they fit each other.

    A T5 reads the tokens of the history's items end to end and one end token, and decodes from its
    start token; a Llama reads the items' tokens alone. Tokens are renamed so that the start token
    is 0 and the end token 1 (`Vocabulary`); the catalog holds the renamed ones.

    Args:
        config: What to open.
        device: Where model and catalog go.

    Raises:
        ValueError: One line, if something is missing, damaged or unfit: another architecture,
            missing weights, a vocabulary too small for the catalog, an item of the data without
            tokens, or a token with another meaning among an item's.
    """
    _refuse_titles(config)
    backbone, vocabulary = open_huggingface(config.model)
    dataset = Dataset.load(config.data)
    catalog = _catalog(config, dataset.items["item_id"], vocabulary)
    of_data = DataConfig(folder=config.data, max_history=config.max_history, split=config.split)
    data = RunData.split(of_data, dataset, catalog)
    settings = RunConfig(out=config.model, data=of_data, backbone=backbone.config)
    catalog, backbone = catalog.to(device), backbone.to(device)
    return ForeignModel(
        Run(config.model, settings, catalog, data.items, backbone, config.data), data
    )


def _refuse_titles(config: ForeignModelConfig) -> None:
    """A language model reads a prompt and writes titles, which only a run describes.

    Raises:
        ValueError: If the catalog is one of titles.
    """
    tokenizer = config.catalog.parent / TOKENIZER_FOLDER / TEXT_FOLDER
    if config.catalog.is_dir() and tokenizer.is_dir():
        raise ValueError(
            f"{config.catalog} holds titles, and a model given as a folder reads semantic IDs: a "
            "language model of titles is opened as a run, which has its prompt; train one with "
            f"backbone.name=pretrained and backbone.model={config.model}"
        )


def _catalog(config: ForeignModelConfig, item_ids: pl.Series, vocabulary: Vocabulary) -> Catalog:
    """The catalog in our tokens."""
    path = config.catalog
    if path.is_dir():
        if config.codebook_size is not None or config.end_token:
            raise ValueError(
                f"{path} is a catalog folder, whose tokens are complete: leave out codebook_size "
                "and end_token"
            )
        saved = Catalog.load(path)
        item_ids, retired = saved.item_ids, saved.retired_ids
        tokens, lengths = _paths_of(saved)
    else:
        codes = read_semantic_ids(path, item_ids)["codes"].explode().to_numpy()
        tokens = torch.from_numpy(codes.reshape(len(item_ids), -1).astype(np.int64))
        if config.codebook_size is not None:
            tokens = _tokens_of(path, tokens, config.codebook_size, item_ids)
        lengths = torch.full((len(tokens),), tokens.shape[1]) if config.end_token else None
        retired = item_ids.clear()
    _check_tokens(config, tokens, item_ids, vocabulary)
    ours = vocabulary.ours[tokens.clamp(min=0)]
    catalog = Catalog.from_tokens(ours, lengths, item_ids, vocab_size=vocabulary.size)
    return catalog.with_retired(retired)


def _paths_of(
    catalog: Catalog,
) -> tuple[Int64[Tensor, "items levels"], Int64[Tensor, " items"] | None]:
    """The tokens of every item without its end token, padded with -1, and how many count."""
    tokens = catalog.leaf_tokens[catalog.leaf_of_item.long()].long()
    if catalog.end_token is None:
        return tokens, None
    lengths = (tokens >= 0).sum(dim=1) - 1
    is_end = torch.arange(tokens.shape[1]) >= lengths[:, None]
    return tokens.masked_fill(is_end, -1)[:, :-1], lengths


def _tokens_of(
    path: Path, codes: Int64[Tensor, "items levels"], codebook_size: int, item_ids: pl.Series
) -> Int64[Tensor, "items levels"]:
    """The token of every code: 2 + level * codebook_size + code."""
    if bool((codes >= codebook_size).any()):
        row, level = (codes >= codebook_size).nonzero()[0].tolist()
        raise ValueError(
            f"{path}: code {int(codes[row, level])} of item {item_ids[row]!r}, level {level + 1}, "
            f"is outside 0..{codebook_size - 1}: raise codebook_size or correct the code"
        )
    return codes + NUM_SPECIAL_TOKENS + codebook_size * torch.arange(codes.shape[1])


def _check_tokens(
    config: ForeignModelConfig,
    tokens: Int64[Tensor, "items levels"],
    item_ids: pl.Series,
    vocabulary: Vocabulary,
) -> None:
    """Refuse tokens that the model has not, or that mean something else to it."""
    highest = int(tokens.max())
    if highest >= vocabulary.size:
        row = int((tokens == highest).any(dim=1).int().argmax())
        raise ValueError(
            f"item {item_ids[row]!r} of {config.catalog} has token {highest}, the vocabulary of "
            f"{config.model} ends at {vocabulary.size - 1}: give the catalog that the model was "
            "trained with, and its codebook_size if the file holds codes"
        )
    for role, token in vocabulary.roles.items():
        has_it = (tokens == token).any(dim=1)
        if bool(has_it.any()):
            raise ValueError(
                f"item {item_ids[int(has_it.int().argmax())]!r} of {config.catalog} has token "
                f"{token}, which is {role} of {config.model}: if the file holds codes, give "
                "codebook_size, else write the model's own tokens into it"
            )
