"""Source `amazon`: reviews and metadata of Amazon products, as published in 2014, 2018 and 2023."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import NonNegativeInt, field_validator

from beamwise.config import Config
from beamwise.data.bad_input import bad_file
from beamwise.data.dataset import Dataset
from beamwise.data.filtering import k_core
from beamwise.data.item_metadata import Texts, item_table, joined, one_line, read_item_texts
from beamwise.data.json_lines import first_record, read_json_line_batches
from beamwise.data.raw_batches import RawBatch
from beamwise.data.raw_interactions import Duplicates, Rules, gather
from beamwise.data.raw_tables import read_batches

LayoutName = Literal["2014", "2018", "2023"]


class AmazonConfig(Config):
    """Reviews of a category and, where texts are wanted, its metadata."""

    name: Literal["amazon"] = "amazon"
    reviews: Path
    """JSON lines, plain or gzip, such as reviews_Office_Products_5.json.gz (2014),
    Office_Products_5.json.gz (2018) or Office_Products.jsonl.gz (2023); or the CSV of 2023 with
    ratings only, such as Office_Products.csv.gz."""
    metadata: Path | None = None
    """JSON lines with the texts of the items, such as meta_Office_Products.json.gz; null leaves the
    titles unknown."""
    layout: LayoutName | None = None
    """The year of publication; told by the fields of the first review where null."""
    min_interactions: NonNegativeInt = 5
    """Keep the k-core of this k and only its items; 0 keeps every user and item with a review."""
    duplicates: Duplicates = "drop"
    """Of reviews equal in user, item and time: drop all but one, or keep all; or keep only the
    first of a user and an item in time."""

    @field_validator("layout", mode="before")
    @classmethod
    def _year_as_text(cls, layout: Any) -> Any:
        """YAML reads 2014 as a number."""
        return str(layout) if type(layout) is int else layout


class Layout(NamedTuple):
    """The names of the fields in a year's files."""

    columns: dict[str, str]
    """The reviews' name of each of our columns."""
    own_fields: frozenset[str]
    """Fields of a review that only this year has; one of them tells it."""
    texts: Texts
    """What the metadata tell; their field of the item's id is that of the reviews."""


def _description_and_features(record: dict[str, Any]) -> str | None:
    """The description, or where it is empty, as it is for half of 2023, the bullet points."""
    return joined(record.get("description"), " ") or joined(record.get("features"), " ")


OLD_COLUMNS = {"user_id": "reviewerID", "item_id": "asin", "timestamp": "unixReviewTime"}
NEW_COLUMNS = {"user_id": "user_id", "item_id": "parent_asin", "timestamp": "timestamp"}
LAYOUTS: dict[str, Layout] = {
    "2014": Layout(
        OLD_COLUMNS,
        frozenset({"helpful"}),
        {
            "title": lambda record: one_line(record.get("title")),
            "description": lambda record: joined(record.get("description"), " "),
            "brand": lambda record: one_line(record.get("brand")),
            "categories": lambda record: joined(record.get("categories"), ", "),
        },
    ),
    "2018": Layout(
        OLD_COLUMNS,
        frozenset({"verified", "vote", "style", "image"}),
        {
            "title": lambda record: one_line(record.get("title")),
            "description": lambda record: joined(record.get("description"), " "),
            "brand": lambda record: one_line(record.get("brand")),
            "categories": lambda record: joined(record.get("category"), ", "),
        },
    ),
    "2023": Layout(
        NEW_COLUMNS,
        frozenset({"parent_asin"}),
        {
            "title": lambda record: one_line(record.get("title")),
            "description": _description_and_features,
            "brand": lambda record: one_line(record.get("store")),
            "categories": lambda record: joined(record.get("categories"), ", "),
        },
    ),
}
"""Times are seconds in 2014 and 2018 and milliseconds in 2023, since 1970; kept as they stand."""


def read_amazon(config: AmazonConfig) -> Dataset:
    """Read reviews, and the texts of the items that stay.

    An interaction is a review, whatever its stars; an item of 2023 is the parent of its variants.
    Items are in the order of their first review in the file. Memory grows with the reviews and the
    items that stay, not with the files. The metadata lack some items: their texts are null, and
    `num_without_texts` counts them.

    Raises:
        ValueError: One line with file, row and fix, if a file is missing or not readable, the
            layout is not known, a field is missing, nothing is left, or the metadata are of others.
    """
    layout = LAYOUTS[config.layout or _layout_of(config.reviews)]
    rules = Rules(duplicates=config.duplicates, columns=layout.columns)
    batches = _batches(config.reviews, layout)
    interactions = gather(batches, config.reviews, rules).interactions
    if config.min_interactions:
        interactions = k_core(interactions, config.min_interactions)
    item_ids = interactions.item_ids
    if config.metadata is None:
        return Dataset(interactions, item_table(item_ids, ("title",), {}))
    items = read_item_texts(
        config.metadata,
        item_ids,
        layout.columns["item_id"],
        layout.texts,
        python_literals=layout is LAYOUTS["2014"],
    )
    return Dataset(interactions, items)


def _is_csv(path: Path) -> bool:
    return ".csv" in path.suffixes


def _layout_of(path: Path) -> str:
    """The layout that the fields of the first review tell."""
    if _is_csv(path):
        return "2023"
    fields = first_record(path).keys()
    told = [name for name, layout in LAYOUTS.items() if layout.own_fields & fields]
    if len(told) != 1:
        raise bad_file(
            path,
            f"does not tell its layout: the first review has the fields {_listed(fields)}",
            "set layout to 2014, 2018 or 2023, or use the source `table` for other files",
        )
    return told[0]


def _batches(path: Path, layout: Layout) -> Iterator[RawBatch]:
    if _is_csv(path):
        fix = "the CSV of 2023 starts with user_id,parent_asin,rating,timestamp; add this header"
        return read_batches(path, layout.columns, format="csv", fix=fix)
    fields = first_record(path).keys()
    missing = [field for field in layout.columns.values() if field not in fields]
    if missing:
        raise bad_file(
            path,
            f"has no field {missing[0]!r} in its first review, but {_listed(fields)}",
            "set layout to the year of the file",
        )
    return read_json_line_batches(path, layout.columns)


def _listed(fields: Any) -> str:
    """The first names, for a message of one line."""
    names = [repr(str(field)[:30]) for field in fields]
    return (", ".join(names[:12]) + (", ..." if len(names) > 12 else "")) or "none"
