"""A catalog made after a run: it must speak the tokens that the run's model has learned."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import torch

from beamwise.catalog import Catalog
from beamwise.data.dataset import CATALOG_FOLDER, read_items
from beamwise.training.run_data import items_of_catalog


def read_later_catalog(folder: Path, trained: Catalog) -> tuple[Catalog, pl.DataFrame]:
    """The catalog of a dataset folder and its items, for a model trained with another catalog.

    Args:
        folder: Prepared and tokenized dataset.
        trained: The catalog that the model was trained with.

    Raises:
        ValueError: If a file is missing or damaged, or the catalog speaks other tokens.
    """
    items = read_items(folder)
    catalog = Catalog.load(folder / CATALOG_FOLDER)
    check_same_tokens(catalog, trained, folder)
    return catalog, items_of_catalog(catalog, items, folder)


def check_same_tokens(catalog: Catalog, trained: Catalog, folder: Path) -> None:
    """Refuse a catalog that is not of the same tokenizer as the one that a model was trained with.

    It may have more items, fewer, and in another order; items of both must have the same tokens.
    Where an end token closes every item, as a title, new ones may be longer than all before.

    Raises:
        ValueError: If sizes differ, no item is in both, or one has other tokens.
    """
    fix = f"tokenize it like the run's data: beamwise tokenize {folder} --like RUN_DATA"
    of_one_length = trained.end_token is None
    for name in ("vocab_size", *(("num_levels",) if of_one_length else ()), "end_token"):
        theirs, ours = getattr(catalog, name), getattr(trained, name)
        if theirs != ours:
            raise ValueError(
                f"the catalog of {folder} has {name}={theirs}, the run was trained with {ours}: "
                f"{fix}"
            )
    shared = catalog.item_ids.filter(catalog.item_ids.is_in(trained.item_ids.implode()))
    if not len(shared):
        raise ValueError(f"the catalog of {folder} has no item of the run's catalog: {fix}")
    width = max(catalog.num_levels, trained.num_levels)
    changed = (_paths(catalog, shared, width) != _paths(trained, shared, width)).any(dim=1)
    if bool(changed.any()):
        raise ValueError(
            f"item {shared[int(changed.int().argmax())]!r} has other tokens in {folder} than in "
            f"the run's catalog ({int(changed.sum())} of {len(shared)} items have): {fix}"
        )


def _paths(catalog: Catalog, item_ids: pl.Series, width: int) -> torch.Tensor:
    """Tokens of some items, padded with -1 to `width`."""
    leaves = catalog.leaf_of_item[catalog.indices_of(item_ids)].long()
    tokens = catalog.leaf_tokens[leaves].cpu()
    return torch.nn.functional.pad(tokens, (0, width - tokens.shape[1]), value=-1)
