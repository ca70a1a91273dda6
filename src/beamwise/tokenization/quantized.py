"""Tokenizer `quantized`: semantic IDs made from the items themselves."""

from __future__ import annotations

from pathlib import Path

from beamwise.catalog import Catalog
from beamwise.data.dataset import read_items
from beamwise.tokenization.item_tokenizer import Progress, QuantizedConfig, fit_items
from beamwise.tokenization.tokenized import Tokenized


def tokenize_quantized(
    config: QuantizedConfig, folder: Path, progress: Progress | None = None
) -> Tokenized:
    """Fit embedding and quantizer to the items of a dataset folder and code them.

    Raises:
        ValueError: If the folder is no dataset, an item has no vector, or a collision cannot be
            settled.
    """
    items = read_items(folder)
    fitted = fit_items(config, items, folder, progress)
    tokenizer = fitted.tokenizer
    catalog = Catalog.from_codes(
        fitted.settled.codes, tokenizer.codebook_size, items["item_id"], config.end_token
    )
    return Tokenized(
        catalog,
        tokenizer.codebook_size,
        tokenizer.quantizer.num_levels,
        fitted.vectors,
        tokenizer,
        {"moved_items": fitted.settled.num_moved},
    )
