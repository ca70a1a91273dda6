"""Whether a data set has as many users, items and interactions as the APAO paper publishes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from beamwise.config import Config
from beamwise.data.sources.amazon import AmazonConfig, layout_of
from beamwise.data.sources.semantic_id_json import SemanticIdJsonConfig
from beamwise.data.sources.yelp import YelpConfig

_AMAZON = "Amazon reviews of 2014, 5-core (files reviews_*_5.json.gz), all ratings"


@dataclass(frozen=True)
class PublishedStatistics:
    """A row of Table 2 of the APAO paper."""

    name: str
    """The data set, as the paper calls it."""
    users: int
    items: int
    interactions: int
    holds_for: str
    """The version of the raw data that has these counts, as far as it is known."""


OFFICE = PublishedStatistics("Office", 4_905, 2_420, 53_258, _AMAZON)
GROCERY = PublishedStatistics("Grocery", 14_681, 8_713, 151_254, _AMAZON)
BEAUTY = PublishedStatistics("Beauty", 22_363, 12_101, 198_502, _AMAZON)
YELP = PublishedStatistics(
    "Yelp",
    30_431,
    20_033,
    316_354,
    "a Yelp release that the paper does not name; S3-Rec (arXiv:2008.07873) has the same counts, "
    "for the 5-core of the reviews from 2019-01-01 up to 2019-12-31 00:00 in the release of 2020",
)

PUBLISHED: dict[str, PublishedStatistics] = {
    "office": OFFICE,
    "office_products": OFFICE,
    "grocery": GROCERY,
    "grocery_and_gourmet_food": GROCERY,
    "beauty": BEAUTY,
    "yelp": YELP,
    "yelp_academic_dataset_review": YELP,
}
"""By what is left of a raw file's name: no `reviews_`, `_5` and suffixes, in lower case."""


@dataclass(frozen=True)
class PublishedCheck:
    """A data set beside what is published under its name."""

    published: PublishedStatistics
    users: int
    items: int
    interactions: int

    @property
    def matches(self) -> bool:
        """Whether all three counts are the published ones."""
        return not self.differences

    @property
    def differences(self) -> tuple[str, ...]:
        """Each count that is another, as in "4,904 users, published 4,905 (-1)"."""
        pairs = {
            "users": (self.users, self.published.users),
            "items": (self.items, self.published.items),
            "interactions": (self.interactions, self.published.interactions),
        }
        return tuple(
            f"{count:,} {what}, published {published:,} ({count - published:+,})"
            for what, (count, published) in pairs.items()
            if count != published
        )

    @property
    def message(self) -> str:
        """The verdict in one line; where counts differ, what the published ones are of."""
        table = f"{self.published.name} in Table 2 of the APAO paper"
        if self.matches:
            return f"the same users, items and interactions as {table}"
        return (
            f"not the counts of {table}: {'; '.join(self.differences)}. "
            f"They hold for {self.published.holds_for}"
        )


def published_check(name: str, users: int, items: int, interactions: int) -> PublishedCheck | None:
    """Compare counts with those published for a data set.

    Args:
        name: The raw file's or data set's name, as in `reviews_Office_Products_5.json.gz`,
            `Office_Products.jsonl.gz`, `Office` or `yelp`.
        users: Users that are left after filtering.
        items: Items that are left.
        interactions: Interactions that are left.

    Returns:
        None where the paper has no data set of this name.
    """
    stem = re.sub(r"\..*", "", name.lower())
    published = PUBLISHED.get(re.sub(r"^reviews_|_5$", "", stem))
    return None if published is None else PublishedCheck(published, users, items, interactions)


def data_set_name(config: Config) -> str | None:
    """The name to give `published_check`; None where nothing is published for such data.

    Args:
        config: The settings of a source that has been read.
    """
    if isinstance(config, AmazonConfig):
        return config.reviews.name if layout_of(config) == "2014" else None  # see `_AMAZON`
    if isinstance(config, YelpConfig):
        return config.name
    if isinstance(config, SemanticIdJsonConfig):
        return next((path.name for path in config.folder.glob("*.inter.json")), None)
    return None
