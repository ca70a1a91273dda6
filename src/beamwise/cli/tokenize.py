"""`beamwise tokenize`: give every item of a dataset its tokens."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from beamwise.catalog import Catalog
from beamwise.cli.output import print_facts, print_json, print_next
from beamwise.cli.parameters import Flag, Json
from beamwise.data.dataset import CATALOG_FOLDER, Dataset
from beamwise.tokenization.semantic_ids import catalog_from_semantic_ids


def tokenize(
    folder: Path,
    /,
    *,
    end_token: Flag = False,
    codebook_size: int | None = None,
    json: Json = False,
) -> None:
    """Make the catalog of a dataset from the semantic IDs that came with it.

    For example:

      beamwise tokenize data/shop
      beamwise tokenize data/office --end-token --codebook-size 256

    Args:
        folder: Dataset folder that prepare wrote; the catalog goes into it.
        end_token: Close every item with an end token, as released code of papers has it.
        codebook_size: Codes a level; the smallest power of two that holds all where not given.
        json: Print JSON lines on standard output, no tables.
    """
    dataset = Dataset.load(folder)
    catalog = catalog_from_semantic_ids(dataset, codebook_size, end_token=end_token)
    catalog.save(folder / CATALOG_FOLDER)
    facts = describe(catalog)
    if json:
        print_json({"folder": folder / CATALOG_FOLDER, **facts})
        return
    per_level = " ".join(f"{count:,}" for count in prefixes_per_level(catalog))
    print_facts(f"catalog in {folder / CATALOG_FOLDER}", facts | {"prefixes_per_level": per_level})
    print_next([f"beamwise train --data {folder} --out runs/first"])


def describe(catalog: Catalog) -> dict[str, object]:
    """Sizes of a catalog; `colliding_items` are those beyond one for each distinct ID."""
    return {
        "items": catalog.num_items,
        "levels": catalog.num_levels,
        "distinct_ids": catalog.num_leaves,
        "colliding_items": catalog.num_items - catalog.num_leaves,
        "prefixes_per_level": prefixes_per_level(catalog),
        "vocabulary": catalog.vocab_size,
        "version": catalog.version,
    }


def prefixes_per_level(catalog: Catalog) -> list[int]:
    """Distinct prefixes of every length, from 1 up."""
    return [stop - start for start, stop in pairwise(catalog.level_start[1:])]
