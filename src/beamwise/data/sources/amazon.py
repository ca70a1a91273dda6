"""Source `amazon`: reviews and metadata of Amazon products, as published in 2014, 2018 and 2023."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl
from pydantic import NonNegativeInt, field_validator

from beamwise.config import Config
from beamwise.data.bad_input import bad_file, bad_value
from beamwise.data.dataset import Dataset
from beamwise.data.filtering import gathered_core
from beamwise.data.item_metadata import Texts, item_table, joined, one_line, read_item_texts
from beamwise.data.json_lines import first_record, json_records, read_json_line_batches
from beamwise.data.raw_batches import RawBatch
from beamwise.data.raw_csv import csv_header, read_csv_batches
from beamwise.data.raw_interactions import Duplicates, Rules, gather

LayoutName = Literal["2014", "2018", "2023"]


class AmazonConfig(Config):
    """Reviews of a category and, where texts are wanted, its metadata."""

    name: Literal["amazon"] = "amazon"
    reviews: Path
    """JSON lines, plain or gzip, such as reviews_Office_Products_5.json.gz (2014),
    Office_Products_5.json.gz (2018) or Office_Products.jsonl.gz (2023); or the CSV with
    ratings only, such as Office_Products.csv.gz (2023), Office_Products.csv (2018) or
    ratings_Office_Products.csv (2014)."""
    metadata: Path | None = None
    """JSON lines with the texts of the items, such as meta_Office_Products.json.gz; null leaves the
    titles unknown."""
    layout: LayoutName | None = None
    """The year of publication; told by the fields of the first review where null. CSV files of
    2014 and 2018 have no header and do not tell it."""
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
    own_text_field: str
    """A field of the metadata that tells the year, looked for from the last year to the first."""
    csv: tuple[str, ...]
    """The columns of the file with ratings only, in their order."""
    csv_has_header: bool = False


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
        own_text_field="categories",
        csv=("user_id", "item_id", "rating", "timestamp"),
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
        own_text_field="category",
        csv=("item_id", "user_id", "rating", "timestamp"),
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
        own_text_field="parent_asin",
        csv=("user_id", "parent_asin", "rating", "timestamp"),
        csv_has_header=True,
    ),
}
"""Times are seconds in 2014 and 2018 and milliseconds in 2023, since 1970; kept as they stand."""


def read_amazon(config: AmazonConfig) -> Dataset:
    """Read reviews, and the texts of the items that stay.

    An interaction is a review, whatever its stars; an item of 2023 is the parent of its variants.
    Items are in the order of their first review in the file. Memory grows with the reviews and the
    items that stay, not with the files. The metadata lack some items: their texts are null, and
    the data card counts them.

    Raises:
        ValueError: One line with file, row and fix, if a file is missing or not readable, the
            layout is not known, a field is missing, nothing is left, or the metadata are of others.
    """
    year = layout_of(config)
    layout = LAYOUTS[year]
    if config.metadata is not None:
        _check_year(config.metadata, year)
    headless = _is_csv(config.reviews) and not layout.csv_has_header
    rules = Rules(duplicates=config.duplicates, columns={} if headless else layout.columns)
    gathered = gather(_batches(config.reviews, layout), config.reviews, rules)
    interactions, notes = gathered_core(gathered, config.min_interactions, config.reviews)
    item_ids = interactions.item_ids
    if config.metadata is None:
        return Dataset(interactions, item_table(item_ids, ("title",), {}), notes=notes)
    items = read_item_texts(
        config.metadata,
        item_ids,
        layout.columns["item_id"],
        layout.texts,
        python_literals=year == "2014",
    )
    return Dataset(interactions, items, notes=notes)


def layout_of(config: AmazonConfig) -> str:
    """The year that is set, or else the one that the file tells.

    Raises:
        ValueError: If the file is not readable or does not tell it.
    """
    if config.layout is not None:
        return config.layout
    path = config.reviews
    if _is_csv(path):
        if _has_header(path):
            return "2023"
        orders = [f"{','.join(LAYOUTS[year].csv)} in {year}" for year in ("2014", "2018")]
        fix = f"set the year of the file, as in --set layout=2018 ({' and '.join(orders)})"
        raise bad_file(path, "has no header and so does not tell its layout", fix)
    fields = first_record(path).keys()
    told = [name for name, layout in LAYOUTS.items() if layout.own_fields & fields]
    if len(told) != 1:
        raise bad_file(
            path,
            f"does not tell its layout: the first review has the fields {_listed(fields)}",
            "set layout to 2014, 2018 or 2023, or use the source `table` for other files",
        )
    return told[0]


def _is_csv(path: Path) -> bool:
    return ".csv" in path.suffixes


def _has_header(path: Path) -> bool:
    """Whether a file with ratings only starts with the names of 2023."""
    return set(LAYOUTS["2023"].csv) <= set(csv_header(path, ","))


def _check_year(metadata: Path, year: str) -> None:
    """Refuse metadata of another year than the reviews, as their first record tells."""
    layout = LAYOUTS[year]
    records = json_records(metadata, python_literals=year == "2014")
    fields = next(records)[1].keys()
    for needed in (layout.columns["item_id"], layout.own_text_field):
        others = [y for y in reversed(LAYOUTS) if LAYOUTS[y].own_text_field in fields]
        if needed not in fields and others and others[0] != year:
            own = LAYOUTS[others[0]].own_text_field
            raise bad_file(
                metadata,
                f"is not of layout {year}: it has no {needed!r} (it looks like {others[0]}, "
                f"which has {own!r})",
                "give the metadata that were published with the reviews",
            )


def _batches(path: Path, layout: Layout) -> Iterator[RawBatch]:
    if _is_csv(path):
        return _csv_batches(path, layout)
    fields = first_record(path).keys()
    missing = [field for field in layout.columns.values() if field not in fields]
    if missing:
        raise bad_file(
            path,
            f"has no field {missing[0]!r} in its first review, but {_listed(fields)}",
            "set layout to the year of the file",
        )
    return read_json_line_batches(path, layout.columns)


def _csv_batches(path: Path, layout: Layout) -> Iterator[RawBatch]:
    """The file with ratings only."""
    has_header = _has_header(path)
    if layout.csv_has_header != has_header:
        what, fix = "has no header, and layout 2023 has one", "set layout to 2014 or 2018"
        if has_header:
            what, fix = "has the header of layout 2023", "leave layout out"
        raise bad_file(path, what, fix)
    header = None if has_header else layout.csv
    ours = {name: ours for ours, name in layout.columns.items()} if has_header else {}
    for batch in read_csv_batches(path, layout.csv, ",", header):
        if not has_header:  # nothing but the values tells which column is which
            _check_stars(path, batch)
        if not has_header and batch.first_row == 1:
            _check_not_swapped(path, batch)
        yield batch._replace(table=batch.table.drop("rating").rename(ours))


def _check_stars(path: Path, batch: RawBatch) -> None:
    texts = batch.table["rating"]
    stars = texts.str.strip_chars().cast(pl.Float64, strict=False)
    refused = ~stars.is_between(1, 5).fill_null(value=False)
    if refused.any():
        row = refused.arg_max() or 0
        fix = "give the file as it was published, with its layout"
        raise bad_value(
            path, batch.first_row + row, "rating", texts[row], "a number from 1 to 5", fix
        )


def _check_not_swapped(path: Path, batch: RawBatch) -> None:
    """Ids of Amazon's items have ten characters, those of its users nearly always more."""
    are_items = {name: batch.table[name].str.len_chars() == 10 for name in ("user_id", "item_id")}
    if are_items["user_id"].all() and not are_items["item_id"].any():
        what = "has items where the layout has users"
        raise bad_file(path, what, "set layout to 2018 instead of 2014, or the other way round")


def _listed(fields: Any) -> str:
    """The first names, for a message of one line."""
    names = [repr(str(field)[:30]) for field in fields]
    return (", ".join(names[:12]) + (", ..." if len(names) > 12 else "")) or "none"
