"""Tokenizer `item-ids`: one token an item, for models that know items by name only."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from beamwise.catalog import Catalog
from beamwise.config import Config
from beamwise.data.dataset import read_items
from beamwise.tokenization.item_tokenizer import Progress
from beamwise.tokenization.tokenized import Tokenized


class ItemIdsConfig(Config):
    """One token an item, as recommenders such as SASRec have it; there is nothing to choose."""

    name: Literal["item-ids"] = "item-ids"


def tokenize_item_ids(
    config: ItemIdsConfig,  # noqa: ARG001
    folder: Path,
    progress: Progress | None = None,  # noqa: ARG001
) -> Tokenized:
    """The one-level catalog of a dataset folder's items: item i has code i.

    Nothing is fitted, so an item that comes later has no token that a trained model knows.

    Raises:
        ValueError: If the folder is no dataset.
    """
    items = read_items(folder)
    catalog = catalog_of_item_ids(items["item_id"])
    return Tokenized(catalog, codebook_size=len(items), num_code_levels=1, vectors=None)


def catalog_of_item_ids(item_ids: pl.Series) -> Catalog:
    """A catalog of one level, whose codebook is as large as there are items."""
    codes = np.arange(len(item_ids), dtype=np.int32)[:, None]
    return Catalog.from_codes(codes, len(item_ids), item_ids)
