"""Catalogs that follow an earlier one: of another dataset, with items added, with items retired."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from beamwise.catalog import Catalog
from beamwise.data.dataset import CATALOG_FOLDER, ITEMS_FILE, TOKENIZER_FOLDER, read_items
from beamwise.tokenization.item_tokenizer import ItemTokenizer, Progress
from beamwise.tokenization.tokenized import beside, note_version, swap


def tokenize_like(
    folder: Path, other: Path, overrides: Sequence[str] = (), progress: Progress | None = None
) -> Catalog:
    """Give a dataset a catalog by the tokenizer of another folder; known items keep their tokens.

    A run that was trained with the other catalog can be evaluated on, and recommend from, this one.

    Args:
        folder: Prepared dataset.
        other: Dataset or run folder with a catalog and the tokenizer that made it.
        overrides: Settings for new items, as `ItemTokenizer.load` takes them.
        progress: Told of the embedding.

    Raises:
        ValueError: If something is missing or damaged, or an item has no vector.
    """
    tokenizer = ItemTokenizer.load(other / TOKENIZER_FOLDER, overrides)
    known = Catalog.load(other / CATALOG_FOLDER)
    catalog = tokenizer.extend(known, read_items(folder), progress)
    num_known = int(catalog.item_ids.is_in(known.item_ids.implode()).sum())
    with beside(folder) as made:
        catalog.save(made / CATALOG_FOLDER)
        tokenizer.save(made / TOKENIZER_FOLDER)
        change = {"like": known.version, "added": catalog.num_items - num_known}
        note_version(made / TOKENIZER_FOLDER, catalog, change)
        swap(made, folder, (TOKENIZER_FOLDER, CATALOG_FOLDER))
    return catalog


def change_items(
    folder: Path,
    added: pl.DataFrame | None = None,
    retired: Sequence[str] = (),
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Catalog:
    """Add items to a dataset and its catalog, and retire items; item indices stay as they are.

    Args:
        folder: Dataset with a catalog, and where items are added with the tokenizer that made it.
        added: item_id, title and the columns that the tokenizer reads; ids that are new.
        retired: Ids no longer to be recommended.
        overrides: Settings for new items, as `ItemTokenizer.load` takes them.
        progress: Told of the embedding.

    Raises:
        ValueError: If nothing would change, an added id is known, a retired one unknown, or
            something is missing or damaged; nothing is changed then.
    """
    if added is None and not retired:
        raise ValueError("no item to add or to retire: give at least one")
    catalog, items = Catalog.load(folder / CATALOG_FOLDER), read_items(folder)
    before = catalog.version
    if added is not None:
        items = _joined(items, added)
        tokenizer = ItemTokenizer.load(folder / TOKENIZER_FOLDER, overrides)
        catalog = tokenizer.extend(catalog, _in_order(items, catalog.item_ids), progress)
    catalog = catalog.with_retired(retired) if retired else catalog
    with beside(folder) as made:
        items.write_parquet(made / ITEMS_FILE)
        catalog.save(made / CATALOG_FOLDER)
        swap(made, folder, (ITEMS_FILE, CATALOG_FOLDER))
    if (folder / TOKENIZER_FOLDER).is_dir():
        num_added = 0 if added is None else len(added)
        change = {"from": before, "added": num_added, "retired": len(retired)}
        note_version(folder / TOKENIZER_FOLDER, catalog, change)
    return catalog


def _joined(items: pl.DataFrame, added: pl.DataFrame) -> pl.DataFrame:
    """Both, the added items last; columns that only they have are left out."""
    known = added.filter(added["item_id"].is_in(items["item_id"].implode()))["item_id"]
    if len(known):
        raise ValueError(
            f"{len(known)} of the {len(added)} items to add are there already, as {known[0]!r}: "
            "drop them from the file"
        )
    shared = added.select(name for name in items.columns if name in added.columns)
    return pl.concat([items, shared], how="diagonal")


def _in_order(items: pl.DataFrame, first: pl.Series) -> pl.DataFrame:
    """The same items, those of `first` before the others and in its order."""
    ids = first.rename("item_id").to_frame()
    known = ids.join(items, on="item_id", how="left", maintain_order="left")
    others = items.join(ids, on="item_id", how="anti", maintain_order="left")
    return pl.concat([known, others], how="diagonal")
