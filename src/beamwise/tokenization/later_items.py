"""Catalogs that follow an earlier one: of another dataset, with items added, with items retired."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from beamwise.catalog import Catalog
from beamwise.data.dataset import CATALOG_FOLDER, ITEMS_FILE, TOKENIZER_FOLDER, read_items
from beamwise.tokenization.item_tokenizer import ItemTokenizer, Progress
from beamwise.tokenization.tokenized import VERSIONS_FILE, beside, note_version, swap


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
    items = read_items(folder)
    tokenizer = ItemTokenizer.load(other / TOKENIZER_FOLDER, overrides)
    known = Catalog.load(other / CATALOG_FOLDER)
    catalog = tokenizer.extend(known, items, progress)
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
    if added is None and overrides:
        raise ValueError(
            f"the setting {overrides[0]!r} is one for new items, and there are none to add: "
            "leave it out"
        )
    items, catalog = read_items(folder), Catalog.load(folder / CATALOG_FOLDER)
    _check_rows(folder, items, catalog)
    change: dict[str, object] = {"from": catalog.version}
    if added is not None:
        items = _joined(items, added)
    _check_known(retired, items["item_id"])
    if added is not None:
        tokenizer = ItemTokenizer.load(folder / TOKENIZER_FOLDER, overrides)
        catalog = tokenizer.extend(catalog, _in_order(items, catalog.item_ids), progress)
    catalog = catalog.with_retired(retired) if retired else catalog
    change |= {"added": 0 if added is None else len(added), "retired": len(retired)}
    with beside(folder) as made:
        items.write_parquet(made / ITEMS_FILE)
        catalog.save(made / CATALOG_FOLDER)
        names = [ITEMS_FILE, CATALOG_FOLDER]
        if (folder / TOKENIZER_FOLDER).is_dir():
            names.append(_history_with(folder, made, catalog, change))
        swap(made, folder, names)
    return catalog


def _history_with(folder: Path, made: Path, catalog: Catalog, change: dict[str, object]) -> str:
    """Make a copy of the tokenizer's history with a new line; returns its name."""
    name = f"{TOKENIZER_FOLDER}/{VERSIONS_FILE}"
    (made / TOKENIZER_FOLDER).mkdir()
    if (folder / name).exists():
        shutil.copy(folder / name, made / name)
    note_version(made / TOKENIZER_FOLDER, catalog, change)
    return name


def _check_rows(folder: Path, items: pl.DataFrame, catalog: Catalog) -> None:
    lost = catalog.item_ids.filter(~catalog.item_ids.is_in(items["item_id"].implode()))
    if len(lost):
        raise ValueError(
            f"{folder}: item {lost[0]!r} of the catalog has no row in {ITEMS_FILE}; "
            "run `beamwise tokenize` again"
        )


def _check_known(retired: Sequence[str], item_ids: pl.Series) -> None:
    """Before new items are embedded, which may take long."""
    asked = pl.Series("item_id", retired, dtype=pl.String)
    unknown = asked.filter(~asked.is_in(item_ids.implode()))
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} of the {len(asked)} items to retire are not in the catalog, as "
            f"{unknown[0]!r}: correct the ids or drop them"
        )


def _joined(items: pl.DataFrame, added: pl.DataFrame) -> pl.DataFrame:
    """Both, the added items last; columns that only they have are left out."""
    known = added.filter(added["item_id"].is_in(items["item_id"].implode()))["item_id"]
    if len(known):
        raise ValueError(
            f"{len(known)} of the {len(added)} items to add are there already, as {known[0]!r}: "
            "drop them from the file"
        )
    shared = added.select(name for name in items.columns if name in added.columns)
    for name, dtype in shared.schema.items():
        if dtype != items.schema[name]:
            raise ValueError(
                f"column {name!r} of the items to add is {dtype}, that of the dataset is "
                f"{items.schema[name]}: leave the column out or write it so"
            )
    return pl.concat([items, shared], how="diagonal")


def _in_order(items: pl.DataFrame, first: pl.Series) -> pl.DataFrame:
    """The same items, those of `first` before the others and in its order."""
    ids = first.rename("item_id").to_frame()
    known = ids.join(items, on="item_id", how="left", maintain_order="left")
    others = items.join(ids, on="item_id", how="anti", maintain_order="left")
    return pl.concat([known, others], how="diagonal")
