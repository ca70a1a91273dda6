"""Source `simulated-shop`: a seeded shop whose planted semantic IDs make beam search lose items.

The next item of a user is drawn from a known distribution, the sum of three parts:

- range: an aisle by the user's taste, then an item of the aisle by its popularity. The taste is a
  preference for categories that drifts with every purchase, plus a lasting one for aisles.
- staples: the one bestseller of an aisle, again by taste.
- accessories: what goes with the last item bought: each aisle has its own distribution over the few
  accessories of its category.

Nobody buys an item twice. Which part an item belongs to decides how its semantic ID begins, and
that is the trap. An aisle is one first-level branch, whose mass is spread thin over many ordinary
items; a staple is a branch of its own and an accessory shares one with a single sibling, so there
most of the branch's mass is one item's. The items that are most probable are therefore mostly
staples and accessories, but the first-level prefixes that are most probable are mostly aisles, and
more than a beam's width of them. A beam that keeps the most probable prefixes thus fills up with
aisles whose items are all improbable, and drops staples and accessories for good, although it ranks
by the true distribution, which is what cross-entropy teaches a model. By default a beam of width 10
loses about a third of the true 10 best items, and one of width 20 a sixth of the 20 best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int
from pydantic import Field, NonNegativeInt, PositiveInt

from beamwise.config import Config
from beamwise.data.dataset import Dataset
from beamwise.data.interactions import Interactions
from beamwise.data.sources.simulated_assortment import (
    ACCESSORY,
    AISLES,
    AISLES_PER_CATEGORY,
    CATEGORIES,
    ORDINARY,
    STAPLE,
    Assortment,
    draw_assortment,
)

RANGE_SHARE, STAPLE_SHARE, ACCESSORY_SHARE = 0.55, 0.30, 0.15
CATEGORY_SPREAD = 1.6
"""Standard deviation of category preferences, in nats."""
AISLE_SPREAD = 0.5
"""Standard deviation of aisle preferences around their category's, in nats."""
KEPT_TASTE = 0.95
"""Correlation of a category preference before and after a purchase."""
POPULARITY_EXPONENT = 0.8
"""Zipf exponent of ordinary items within an aisle."""
ACCESSORY_EXPONENT = 0.4
"""Zipf exponent of accessories after a purchase: low, so that none carries its branch."""
FEWEST, MOST = 5, 40
"""Interactions of a user."""
FIRST_DAY, DAY = 1_577_836_800, 86_400
"""2020-01-01 in seconds since 1970, and a day in seconds."""
USERS_AT_ONCE = 2_048


class SimulatedShopConfig(Config):
    """A simulated shop; equal settings give equal data."""

    name: Literal["simulated-shop"] = "simulated-shop"
    seed: NonNegativeInt = 0
    """Another seed is another shop."""
    num_users: PositiveInt = 3_000
    """Users, each with 5 interactions at least."""
    num_items: int = Field(default=1_120, ge=200)
    """120 of them are staples and accessories, the rest is spread evenly over 40 aisles."""
    mean_interactions: float = Field(default=10.0, ge=FEWEST + 1, le=MOST / 2)
    """Interactions of a user on average; each has 5 to 40."""


@dataclass(frozen=True, eq=False)
class Shop:
    """The items and how they are bought."""

    assortment: Assortment
    by_taste: Float[np.ndarray, "aisles items"]
    """Mass of each item given that the taste falls on an aisle; rows sum to 0.85."""
    by_last_item: Float[np.ndarray, "groups items"]
    """Mass of each item given the group of the last; rows sum to ACCESSORY_SHARE."""
    group_of_item: Int[np.ndarray, " items"]
    """Items of an aisle are a group, and so are the accessories of a category."""

    @classmethod
    def open(cls, config: SimulatedShopConfig, rng: np.random.Generator) -> Shop:
        """Draw items and popularities."""
        assortment = draw_assortment(config.num_items, rng)
        is_accessory = assortment.kind == ACCESSORY
        group = np.where(is_accessory, len(AISLES) + assortment.category, assortment.aisle)
        in_aisle = assortment.aisle == np.arange(len(AISLES))[:, None]
        staples = in_aisle & (assortment.kind == STAPLE)
        by_taste = STAPLE_SHARE * staples + RANGE_SHARE * _skewed(
            in_aisle & (assortment.kind == ORDINARY), POPULARITY_EXPONENT, rng
        )
        category_of_group = np.concatenate(
            [np.arange(len(AISLES)) // AISLES_PER_CATEGORY, np.arange(len(CATEGORIES))]
        )
        goes_with = is_accessory & (assortment.category == category_of_group[:, None])
        by_last_item = ACCESSORY_SHARE * _skewed(goes_with, ACCESSORY_EXPONENT, rng)
        return cls(assortment, by_taste, by_last_item, group)

    def next_item_probs(
        self,
        tastes: Float[np.ndarray, "states aisles"],
        histories: Int[np.ndarray, "states history"],
    ) -> Float[np.ndarray, "states items"]:
        """The true distribution of the next item.

        Args:
            tastes: Preference for every aisle, in nats.
            histories: Items bought so far, right-padded with -1.
        """
        weights = np.exp(tastes - tastes.max(axis=1, keepdims=True))
        probs = weights / weights.sum(axis=1, keepdims=True) @ self.by_taste
        lengths = (histories >= 0).sum(axis=1)
        begun = np.flatnonzero(lengths)
        last = histories[begun, lengths[begun] - 1]
        probs[begun] += self.by_last_item[self.group_of_item[last]]
        rows, columns = np.nonzero(histories >= 0)
        probs[rows, histories[rows, columns]] = 0
        return probs / probs.sum(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Visits:
    """What users bought, and the taste with which each would buy next."""

    histories: Int[np.ndarray, "users history"]
    """Item indices in time order, right-padded with -1."""
    tastes: Float[np.ndarray, "users aisles"]


def read_simulated_shop(config: SimulatedShopConfig) -> Dataset:
    """Simulate the shop; timestamps are seconds since 1970."""
    shop, visits = simulate(config)
    item_ids = np.array([f"item-{index:04d}" for index in range(config.num_items)])
    users, steps = np.nonzero(visits.histories >= 0)
    times = _times(visits.histories.shape, np.random.default_rng([config.seed, 1]))
    interactions = Interactions.from_table(
        pl.DataFrame(
            {
                "user_id": pl.Series([f"user-{u:04d}" for u in range(config.num_users)])[users],
                "item_id": item_ids[visits.histories[users, steps]],
                "timestamp": times[users, steps],
            }
        )
    )
    items = pl.DataFrame(
        {
            "item_id": item_ids,
            "title": shop.assortment.titles,
            "category": np.array(CATEGORIES)[shop.assortment.category],
            "subcategory": shop.assortment.subcategories,
        }
    )
    codes = pl.Series("codes", shop.assortment.codes.tolist(), dtype=pl.List(pl.Int32))
    return Dataset(interactions, items, items.select("item_id").with_columns(codes))


def simulate(config: SimulatedShopConfig) -> tuple[Shop, Visits]:
    """Open the shop and let all users buy; each chunk of users takes every step together."""
    rng = np.random.default_rng([config.seed, 0])
    shop = Shop.open(config, rng)
    fashion = rng.normal(0, AISLE_SPREAD, len(AISLES))
    counts = (
        FEWEST - 1 + rng.geometric(1 / (config.mean_interactions - FEWEST + 1), config.num_users)
    )
    counts = counts.clip(max=MOST)
    histories = np.full((config.num_users, counts.max()), -1)
    tastes = np.empty((config.num_users, len(AISLES)))
    for start in range(0, config.num_users, USERS_AT_ONCE):
        chunk = slice(start, start + USERS_AT_ONCE)
        tastes[chunk] = _buy(shop, fashion, counts[chunk], histories[chunk], rng)
    return shop, Visits(histories, tastes)


def _buy(
    shop: Shop,
    fashion: Float[np.ndarray, " aisles"],
    counts: Int[np.ndarray, " users"],
    histories: Int[np.ndarray, "users history"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "users aisles"]:
    """Fill `histories` with `counts` purchases of each user and return the tastes after them."""
    category_taste = rng.normal(0, CATEGORY_SPREAD, (len(counts), len(CATEGORIES)))
    lasting = fashion + rng.normal(0, AISLE_SPREAD, (len(counts), len(AISLES)))
    drift = CATEGORY_SPREAD * np.sqrt(1 - KEPT_TASTE**2)
    for step in range(counts.max()):
        users = np.flatnonzero(counts > step)
        tastes = category_taste[users].repeat(AISLES_PER_CATEGORY, axis=1) + lasting[users]
        probs = shop.next_item_probs(tastes, histories[users, :step])
        histories[users, step] = _draw(probs, rng)
        moves = rng.normal(0, drift, (len(users), len(CATEGORIES)))
        category_taste[users] = KEPT_TASTE * category_taste[users] + moves
    return category_taste.repeat(AISLES_PER_CATEGORY, axis=1) + lasting


def _draw(
    probs: Float[np.ndarray, "states items"], rng: np.random.Generator
) -> Int[np.ndarray, " states"]:
    """One item a state; never one of probability 0."""
    cumulative = probs.cumsum(axis=1)
    threshold = rng.random((len(probs), 1)) * cumulative[:, -1:]
    return (cumulative <= threshold).sum(axis=1)


def _skewed(
    members: Bool[np.ndarray, "groups items"], exponent: float, rng: np.random.Generator
) -> Float[np.ndarray, "groups items"]:
    """A Zipf distribution over each row's members, in random order of rank."""
    ranks = np.where(members, rng.random(members.shape), 2.0).argsort(axis=1).argsort(axis=1)
    weights = np.where(members, (ranks + 1.0) ** -exponent, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _times(shape: tuple[int, int], rng: np.random.Generator) -> Int[np.ndarray, "users steps"]:
    """Purchases days apart, from a first day in the year on."""
    first = rng.uniform(0, 365 * DAY, (shape[0], 1))
    gaps = rng.exponential(20 * DAY, shape)
    return (FIRST_DAY + first + gaps.cumsum(axis=1)).astype(np.int64)
