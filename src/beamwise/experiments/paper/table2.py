"""Table 2: statistics of the data."""

from __future__ import annotations

from pathlib import Path

from beamwise.catalog import Catalog
from beamwise.data.dataset import CATALOG_FOLDER, Dataset
from beamwise.data.published_statistics import PUBLISHED
from beamwise.report.section import Column, Section, Table, Value


def section(dataset: str, folder: Path, command: str = "") -> Section:
    """Users, items and interactions of a prepared data set, beside the published ones.

    Args:
        dataset: Its name.
        folder: Where it lies.
        command: That made the section.

    Raises:
        ValueError: If the data are missing or damaged.
    """
    data = Dataset.load(folder)
    users = data.interactions.num_users
    items = data.interactions.num_items
    interactions = len(data.interactions)
    published = PUBLISHED.get(dataset)
    rows: list[tuple[Value, ...]] = []
    if published is not None:
        theirs = (published.users, published.items, published.interactions)
        rows.append(("paper", *theirs, 100 * theirs[2] / (theirs[0] * theirs[1]), None, None))
    catalog = _catalog(folder)
    ids = None if catalog is None else catalog.num_leaves
    shared = None if catalog is None else _num_sharing(catalog)
    density = 100 * interactions / (users * items)
    rows.append(("ours", users, items, interactions, density, ids, shared))
    return Section(
        name="table2",
        title="Table 2: the data",
        setting=dataset.capitalize(),
        findings=() if published is None else (_verdict(rows),),
        tables=(
            Table(
                name="statistics",
                title="After filtering to the 5-core",
                columns=(
                    Column(name="source"),
                    Column(name="users", unit="count"),
                    Column(name="items", unit="count"),
                    Column(name="interactions", unit="count"),
                    Column(name="density, %", unit="number"),
                    Column(name="distinct IDs", unit="count"),
                    Column(name="items that share one", unit="count"),
                ),
                rows=tuple(rows),
                note="Items that share a semantic ID cannot be told apart by any score.",
            ),
        ),
        command=command,
    )


def _verdict(rows: list[tuple[Value, ...]]) -> str:
    theirs, ours = (row[1:4] for row in rows)
    if theirs == ours:
        return "Users, items and interactions are the paper's."
    return f"Users, items and interactions are {_counts(ours)}, the paper has {_counts(theirs)}."


def _counts(values: tuple[Value, ...]) -> str:
    users, items, interactions = values
    return f"{users:,}, {items:,} and {interactions:,}"


def _num_sharing(catalog: Catalog) -> int:
    """Items whose semantic ID another item has too."""
    items_of = catalog.leaf_of_item.bincount()
    return int(items_of[items_of > 1].sum())


def _catalog(folder: Path) -> Catalog | None:
    path = folder / CATALOG_FOLDER
    return Catalog.load(path) if path.is_dir() else None
