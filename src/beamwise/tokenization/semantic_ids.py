"""The catalog of semantic IDs that come with a dataset."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Int32

from beamwise.catalog import Catalog
from beamwise.data.dataset import Dataset


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
            "the dataset has no semantic IDs: prepare it from a source that has them, "
            "or make them with `beamwise tokenize`"
        )
    table = dataset.items.select("item_id").join(
        dataset.semantic_ids, on="item_id", how="left", maintain_order="left"
    )
    codes = _codes(table)
    if codebook_size is None:
        codebook_size = 1 << max(0, int(codes.max())).bit_length()
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
