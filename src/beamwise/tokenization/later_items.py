"""Catalogs that follow an earlier one: of another dataset, with items added, with items retired."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import polars as pl

from beamwise.catalog import Catalog
from beamwise.data.dataset import (
    CATALOG_FOLDER,
    ITEMS_FILE,
    QUALITY_FOLDER,
    TOKENIZER_FOLDER,
    read_items,
)
from beamwise.tokenization.fitted import load_fitted
from beamwise.tokenization.item_tokenizer import Progress
from beamwise.tokenization.tokenized import (
    VERSIONS_FILE,
    beside,
    note_version,
    retired_before,
    still_retired,
    swap,
)

NO_FILES: Mapping[str, Path] = MappingProxyType({})


def tokenize_like(
    folder: Path, other: Path, overrides: Sequence[str] = (), progress: Progress | None = None
) -> Catalog:
    """Give a dataset a catalog by the tokenizer of another folder; known items keep their tokens.

    A run that was trained with the other catalog can be evaluated on, and recommend from, this one.
    Items that are retired in the other catalog, or were in this folder's, stay retired.

    Args:
        folder: Prepared dataset.
        other: Dataset or run folder with a catalog and the tokenizer that made it.
        overrides: Settings for new items, as `load_fitted` takes them.
        progress: Told of the embedding.

    Raises:
        ValueError: If something is missing or damaged, or an item has no vector.
    """
    items, retired = read_items(folder), retired_before(folder)
    tokenizer = load_fitted(other / TOKENIZER_FOLDER, overrides)
    known = Catalog.load(other / CATALOG_FOLDER)
    catalog = still_retired(tokenizer.extend(known, items, progress), retired)
    num_known = int(catalog.item_ids.is_in(known.item_ids.implode()).sum())
    with beside(folder) as made:
        catalog.save(made / CATALOG_FOLDER)
        tokenizer.save(made / TOKENIZER_FOLDER)
        change = {"like": known.version, "added": catalog.num_items - num_known}
        note_version(made / TOKENIZER_FOLDER, catalog, change)
        swap(made, folder, (QUALITY_FOLDER, TOKENIZER_FOLDER, CATALOG_FOLDER))
    return catalog


def change_items(
    folder: Path,
    added: pl.DataFrame | None = None,
    retired: Sequence[str] = (),
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
    *,
    restored: Sequence[str] = (),
    files: Mapping[str, Path] = NO_FILES,
) -> Catalog:
    """Add items to a dataset and its catalog, retire and restore items; indices stay as they are.

    Args:
        folder: Dataset with a catalog, and where items are added with the tokenizer that made it.
        added: item_id, title and the columns that the tokenizer reads; ids that are new.
        retired: Ids no longer to be recommended.
        overrides: Settings for new items, as `load_fitted` takes them.
        progress: Told of the embedding.
        restored: Retired ids to be recommended again.
        files: Where `added`, `retired` and `restored` were read from, a row an item, by these
            names: errors then say so.

    Raises:
        ValueError: If nothing would change, an added id is known, a retired one unknown, a restored
            one not retired, or something is missing or damaged; nothing is changed then.
    """
    _check_asked(added, retired, restored, overrides)
    items, catalog = read_items(folder), _catalog(folder)
    _check_rows(folder, items, catalog)
    change: dict[str, object] = {"from": catalog.version}
    if added is not None:
        items = _joined(items, added, catalog, files)
    _check_ids(catalog, items["item_id"], retired, restored, files)
    if added is not None:
        tokenizer = load_fitted(folder / TOKENIZER_FOLDER, overrides)
        with _named(files.get("added")):
            catalog = tokenizer.extend(catalog, _in_order(items, catalog.item_ids), progress)
    catalog = catalog.with_restored(restored).with_retired(retired)
    change |= {"added": 0 if added is None else len(added), "retired": len(retired)}
    change |= {"restored": len(restored)} if restored else {}
    with beside(folder) as made:
        items.write_parquet(made / ITEMS_FILE)
        catalog.save(made / CATALOG_FOLDER)
        names = [ITEMS_FILE, CATALOG_FOLDER]
        if (folder / TOKENIZER_FOLDER).is_dir():
            names.append(_history_with(folder, made, catalog, change))
        swap(made, folder, names)
    return catalog


def _check_asked(
    added: pl.DataFrame | None,
    retired: Sequence[str],
    restored: Sequence[str],
    overrides: Sequence[str],
) -> None:
    if added is None and not retired and not restored:
        raise ValueError("no item to add, to retire or to restore: give at least one")
    if added is None and overrides:
        raise ValueError(
            f"the setting {overrides[0]!r} is one for new items, and there are none to add: "
            "leave it out"
        )


def _catalog(folder: Path) -> Catalog:
    if not (folder / CATALOG_FOLDER).exists():
        raise ValueError(
            f"no catalog at {folder / CATALOG_FOLDER}: run `beamwise tokenize {folder}` first"
        )
    return Catalog.load(folder / CATALOG_FOLDER)


@contextmanager
def _named(path: Path | None) -> Iterator[None]:
    """Errors on items say which file these are from."""
    try:
        yield
    except ValueError as error:
        if path is None:
            raise
        raise ValueError(f"{path}: {error}") from None


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


def _check_ids(
    catalog: Catalog,
    item_ids: pl.Series,
    retired: Sequence[str],
    restored: Sequence[str],
    files: Mapping[str, Path],
) -> None:
    """Before new items are embedded, which may take long."""
    to_retire = pl.Series("item_id", retired, dtype=pl.String)
    to_restore = pl.Series("item_id", restored, dtype=pl.String)
    both = to_restore.is_in(to_retire.implode())
    is_retired = to_restore.is_in(catalog.retired_ids.implode())
    for name, ids, is_bad, what, fix in (
        ("retired", to_retire, ~to_retire.is_in(item_ids.implode()),
         "to retire are not in the catalog", "correct the ids or drop them"),
        ("restored", to_restore, both, "to restore are to be retired too", "choose one"),
        ("restored", to_restore, ~is_retired, "to restore are not retired",
         "correct the ids or drop them"),
    ):  # fmt: skip
        _refuse(files.get(name), ids, is_bad, what, fix)


def _refuse(path: Path | None, ids: pl.Series, is_bad: pl.Series, what: str, fix: str) -> None:
    """Refuse ids of which some are bad; the first is named, with its row where there is a file."""
    if not is_bad.any():
        return
    row = is_bad.arg_max() or 0
    place = "" if path is None else f"{path}, row {row + 1}: "
    raise ValueError(
        f"{place}{int(is_bad.sum())} of the {len(ids)} items {what}, as {ids[row]!r}: {fix}"
    )


def _joined(
    items: pl.DataFrame, added: pl.DataFrame, catalog: Catalog, files: Mapping[str, Path]
) -> pl.DataFrame:
    """Both, the added items last; columns that only they have are left out."""
    path, ids = files.get("added"), added["item_id"]
    retired = ids.is_in(catalog.retired_ids.implode())
    back = "put them back with --restore FILE, and drop them from this one"
    _refuse(path, ids, retired, "to add are there already, and retired", back)
    known = ids.is_in(items["item_id"].implode())
    _refuse(path, ids, known, "to add are there already", "drop them from the file")
    shared = added.select(name for name in items.columns if name in added.columns)
    for name, dtype in shared.schema.items():
        if dtype != items.schema[name]:
            place = "" if path is None else f"{path}: "
            raise ValueError(
                f"{place}column {name!r} of the items to add is {dtype}, that of the dataset is "
                f"{items.schema[name]}: leave the column out or write it so"
            )
    return pl.concat([items, shared], how="diagonal")


def _in_order(items: pl.DataFrame, first: pl.Series) -> pl.DataFrame:
    """The same items, those of `first` before the others and in its order."""
    ids = first.rename("item_id").to_frame()
    known = ids.join(items, on="item_id", how="left", maintain_order="left")
    others = items.join(ids, on="item_id", how="anti", maintain_order="left")
    return pl.concat([known, others], how="diagonal")
