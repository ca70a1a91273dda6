"""Tokenizer `semantic-ids`: codes that come with a dataset, or in a file of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float32, Int32
from pydantic import PositiveInt

from beamwise.catalog import NUM_SPECIAL_TOKENS, Catalog
from beamwise.config import Config
from beamwise.data.dataset import EMBEDDINGS_FOLDER, Dataset
from beamwise.tokenization.embeddings import (
    AnyEmbeddingConfig,
    TextEmbeddingConfig,
    TfidfSvdConfig,
)
from beamwise.tokenization.embeddings.cache import fit_cached
from beamwise.tokenization.item_texts import has_texts
from beamwise.tokenization.item_tokenizer import Progress, named
from beamwise.tokenization.semantic_id_files import read_semantic_ids
from beamwise.tokenization.tokenized import Tokenized


class SemanticIdsConfig(Config):
    """Semantic IDs that exist already."""

    name: Literal["semantic-ids"] = "semantic-ids"
    file: Path | None = None
    """CSV, TSV or Parquet with item_id and codes, or .npy with a row an item in the dataset's
    order; those published with the dataset where not given."""
    codebook_size: PositiveInt | None = None
    """Codes a level; the smallest power of two that holds every code where not given."""
    end_token: bool = False
    """Close every item with an end token, as released code of papers has it."""
    embedding: AnyEmbeddingConfig = TfidfSvdConfig(missing="blank")
    """Vectors that the report judges the codes by; the codes do not depend on them."""


def tokenize_semantic_ids(
    config: SemanticIdsConfig, folder: Path, progress: Progress | None = None
) -> Tokenized:
    """The catalog of codes that exist already, judged by the items' vectors.

    Where vectors are made from texts and no item has one, there are no vectors.

    Raises:
        ValueError: If the folder is no dataset, or the codes do not fit its items.
    """
    dataset = Dataset.load(folder)
    if config.file is not None:
        codes = read_semantic_ids(config.file, dataset.items["item_id"])
        dataset = Dataset(dataset.interactions, dataset.items, codes)
    try:
        catalog = catalog_from_semantic_ids(
            dataset, config.codebook_size, end_token=config.end_token
        )
    except ValueError as error:
        raise ValueError(error if config.file is None else f"{config.file}: {error}") from None
    num_levels = catalog.num_levels - config.end_token
    codebook_size = (catalog.vocab_size - NUM_SPECIAL_TOKENS) // num_levels
    vectors = _judging_vectors(config, dataset.items, folder / EMBEDDINGS_FOLDER, progress)
    return Tokenized(catalog, codebook_size, num_levels, vectors)


def _judging_vectors(
    config: SemanticIdsConfig, items: pl.DataFrame, cache: Path, progress: Progress | None
) -> Float32[np.ndarray, "items dim"] | None:
    if isinstance(config.embedding, TextEmbeddingConfig) and not has_texts(items):
        return None
    embedding = config.embedding.at(cache.parent)
    return fit_cached(embedding, items, cache, named("embedding items", progress))[1]


def catalog_from_semantic_ids(
    dataset: Dataset, codebook_size: int | None = None, *, end_token: bool = False
) -> Catalog:
    """The catalog of all the dataset's items, in their order, with their published codes as tokens.

    Args:
        dataset: Has a semantic ID for every item.
        codebook_size: Codes a level; the smallest power of two that holds every code where None.
        end_token: Whether every path also ends with the end token, as released code has it.

    Raises:
        ValueError: If the dataset has no semantic IDs, an item has none, items have different
            numbers of codes, or a code is outside its codebook.
    """
    if dataset.semantic_ids is None:
        raise ValueError(
            "the dataset has no semantic IDs: give them with --codes, or make them with "
            "--method rq-kmeans"
        )
    table = dataset.items.select("item_id").join(
        dataset.semantic_ids, on="item_id", how="left", maintain_order="left"
    )
    codes = _codes(table)
    if codebook_size is None:
        codebook_size = 1 << max(0, int(codes.max())).bit_length()
    outside = (codes < 0) | (codes >= codebook_size)
    if outside.any():
        row, level = np.argwhere(outside)[0].tolist()
        raise ValueError(
            f"code {codes[row, level]} of item {table['item_id'][row]!r}, level {level + 1}, is "
            f"outside 0..{codebook_size - 1}: raise codebook_size or correct the code"
        )
    return Catalog.from_codes(codes, codebook_size, table["item_id"], end_token)


def _codes(table: pl.DataFrame) -> Int32[np.ndarray, "items levels"]:
    """The codes as one array, after a check that all items have as many."""
    lengths = table["codes"].list.len().fill_null(0).to_numpy()
    if (lengths == 0).any():
        item = table["item_id"][int((lengths == 0).argmax())]
        raise ValueError(f"item {item!r} has no semantic ID: give it codes or drop the item")
    num_levels = int(lengths[0])
    if (lengths != num_levels).any():
        row = int((lengths != num_levels).argmax())
        raise ValueError(
            f"item {table['item_id'][row]!r} has {lengths[row]} codes, "
            f"item {table['item_id'][0]!r} has {num_levels}: give all items as many"
        )
    codes = table["codes"].explode()
    if codes.null_count():
        row = int(codes.is_null().to_numpy().argmax()) // num_levels
        raise ValueError(f"item {table['item_id'][row]!r} has a null code: give it all its codes")
    return codes.to_numpy().reshape(-1, num_levels)
