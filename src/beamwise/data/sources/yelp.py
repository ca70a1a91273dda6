"""Source `yelp`: reviews and businesses of the Yelp Open Dataset."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import NonNegativeInt, model_validator

from beamwise.config import Config
from beamwise.data.bad_input import bad_file
from beamwise.data.dataset import Dataset
from beamwise.data.filtering import gathered_core
from beamwise.data.interactions import Interactions
from beamwise.data.item_metadata import Texts, joined, one_line, read_item_texts
from beamwise.data.json_lines import read_json_line_batches
from beamwise.data.raw_interactions import Duplicates, Rules, gather
from beamwise.data.timestamps import ISO

COLUMNS = {"user_id": "user_id", "item_id": "business_id", "timestamp": "date"}
TEXTS: Texts = {
    "title": lambda record: one_line(record.get("name")),
    "categories": lambda record: joined(record.get("categories"), ", "),
    "city": lambda record: one_line(record.get("city")),
    "state": lambda record: one_line(record.get("state")),
}
"""Categories are one text, in older releases a list."""


class YelpConfig(Config):
    """The unpacked Yelp Open Dataset; only reviews and businesses are read."""

    name: Literal["yelp"] = "yelp"
    folder: Path
    """Where yelp_academic_dataset_review.json and yelp_academic_dataset_business.json lie; the
    names may lack the prefix, or end with .gz."""
    first_date: date | None = None
    """Keep reviews of this day and later, before the k-core; null: from the first."""
    last_date: date | None = None
    """Keep reviews up to this day, it included; null: up to the last."""
    min_interactions: NonNegativeInt = 5
    """Keep the k-core of this k and only its items; 0 keeps every user and business with a
    review."""
    duplicates: Duplicates = "drop"
    """Of reviews equal in user, business and time: drop all but one, or keep all; or keep only the
    first of a user and a business in time."""

    @model_validator(mode="after")
    def _in_order(self) -> YelpConfig:
        if self.first_date and self.last_date and self.first_date > self.last_date:
            raise ValueError(
                f"first_date {self.first_date} is after last_date {self.last_date}: swap them"
            )
        return self


def read_yelp(config: YelpConfig) -> Dataset:
    """Read reviews, and the names, categories and places of the businesses that stay.

    An interaction is a review, whatever its stars; timestamps are microseconds since 1970, of local
    time, for the files name no zone. Items are in the order of their first review in the file. A
    business that is not in its file has null texts (the data card counts them).

    Raises:
        ValueError: One line with file, row and fix, if a file is missing or not readable, a field
            is missing, or nothing is left.
    """
    if config.folder.is_file():
        raise bad_file(config.folder, "is a file", "give the folder of the unpacked files")
    if not config.folder.is_dir():
        raise ValueError(f"no such folder: {config.folder}; give the one of the unpacked files")
    reviews, businesses = (_find(config.folder, what) for what in ("review", "business"))
    rules = Rules(timestamp_format=ISO, duplicates=config.duplicates, columns=COLUMNS)
    gathered = gather(read_json_line_batches(reviews, COLUMNS), reviews, rules)
    within = _between(gathered.interactions, config, reviews)
    dropped = {"dropped_outside_dates": len(gathered.interactions) - len(within)}
    gathered = gathered._replace(interactions=within)
    interactions, notes = gathered_core(gathered, config.min_interactions, reviews, dropped)
    items = read_item_texts(businesses, interactions.item_ids, COLUMNS["item_id"], TEXTS)
    return Dataset(interactions, items, notes=notes)


def _find(folder: Path, what: str) -> Path:
    names = [
        f"{prefix}{what}.json{end}"
        for prefix in ("yelp_academic_dataset_", "")
        for end in ("", ".gz")
    ]
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise bad_file(folder, f"holds no {names[0]}", "name the folder of the unpacked files")
    if len(found) > 1:
        both = ", ".join(path.name for path in found)
        raise bad_file(folder, f"holds several files of the kind ({both})", "keep one of them")
    return found[0]


def _between(interactions: Interactions, config: YelpConfig, reviews: Path) -> Interactions:
    """Only what lies between the first and the last day asked for."""
    if config.first_date is None and config.last_date is None:
        return interactions
    kept = np.ones(len(interactions), dtype=np.bool_)
    if config.first_date is not None:
        kept &= interactions.timestamps >= _microseconds(config.first_date)
    if config.last_date is not None:
        kept &= interactions.timestamps < _microseconds(config.last_date) + DAY
    if not kept.any():
        days = f"from {config.first_date or 'the first'} to {config.last_date or 'the last'}"
        raise bad_file(reviews, f"has no review {days}", "widen first_date and last_date")
    return interactions.where(kept)


DAY = timedelta(days=1) // timedelta(microseconds=1)


def _microseconds(day: date) -> int:
    """The start of a day since 1970."""
    start = datetime.combine(day, time(), UTC)
    return (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
