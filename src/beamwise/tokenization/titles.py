"""Tokenizer `titles`: an item is its title, in the tokens of a language model."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from beamwise._language_models import TINY, model_folder
from beamwise.data.dataset import read_items
from beamwise.tokenization.byte_pairs import learn_byte_pairs
from beamwise.tokenization.item_tokenizer import Progress
from beamwise.tokenization.title_tokenizer import (
    TITLE,
    TitlesConfig,
    TitleTokenizer,
    open_text_tokenizer,
)
from beamwise.tokenization.tokenized import Tokenized


def tokenize_titles(
    config: TitlesConfig,
    folder: Path,
    progress: Progress | None = None,  # noqa: ARG001
) -> Tokenized:
    """The catalog of a dataset folder's titles, each closed by the language model's end token.

    Titles stay as they are, white space and HTML entities included, for that is how they are
    compared. Items that share a title share a leaf.

    Raises:
        ValueError: If the folder is no dataset, an item has no title, the model has no tokenizer
            or none that keeps a title, or an extra is not installed.
    """
    items = read_items(folder)
    tokenizer = fit_title_tokenizer(config, items["title"])
    try:
        catalog = tokenizer.catalog_of(items["item_id"], items["title"])
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    return Tokenized(catalog, tokenizer=tokenizer)


def fit_title_tokenizer(config: TitlesConfig, titles: pl.Series) -> TitleTokenizer:
    """The tokenizer that the settings name; `tiny` is learned from the titles.

    Raises:
        ValueError: If there is no such tokenizer, it has no end token, or an extra is not
            installed.
    """
    if config.model == TINY:
        answers = [config.answer.replace(TITLE, title) for title in titles.drop_nulls()]
        text = learn_byte_pairs(answers, config.vocab_size)
    else:
        text = open_text_tokenizer(model_folder(config.model))
    return TitleTokenizer(config, text)
