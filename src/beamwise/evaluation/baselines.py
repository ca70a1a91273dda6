"""Baselines that count interactions: the popularity of items, and items taken by the same users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64
from pydantic import Field, PositiveInt
from scipy.sparse import csr_array, vstack
from torch import Tensor

from beamwise.config import Config
from beamwise.data.splitting import Sequences

UNIT = 1 << 30
"""A cosine of 1. Scores are whole numbers of `1 / UNIT`, so that their sums do not depend on the
order of a history and equal scores are equal."""
ENTRIES_AT_ONCE = 1 << 21
"""Pairs of items whose similarities are held before only the nearest are kept, about 100 MB; more
only where a single item has more partners."""


class PopularityConfig(Config):
    """Rank items by how often training took them, the same for every user."""

    name: Literal["popularity"] = "popularity"


class ItemKnnConfig(Config):
    """Rank items by their similarity to those of the history."""

    name: Literal["item-kNN"] = "item-kNN"
    neighbours: PositiveInt = 100
    """Most similar items that an item of the history speaks for."""


AnyBaselineConfig = Annotated[PopularityConfig | ItemKnnConfig, Field(discriminator="name")]
"""The type of a setting that chooses a baseline by `name`."""


@runtime_checkable
class Baseline(Protocol):
    """Scores items from counts; items of equal score are in the order of `places`."""

    @property
    def config(self) -> AnyBaselineConfig:
        """Its settings."""
        ...

    places: Int64[np.ndarray, " items"]
    """Each item's place by popularity, from 0: most interactions first, then by item index."""

    def scores(self, histories: Int64[Tensor, "batch history"]) -> csr_array:
        """`(batch, items)` whole numbers above 0; what is not stored is 0."""
        ...


class Popularity:
    """Items by their number of interactions in training; a history changes nothing.

    Items of the history may be recommended again, as by the generative models.
    """

    def __init__(self, config: PopularityConfig, train: Sequences, num_items: int) -> None:
        """Count.

        Args:
            config: Nothing to choose.
            train: The interactions that may be counted.
            num_items: Items of the catalog, those that nobody took included.
        """
        self.config = config
        self._num_items = num_items
        self.places = places_by_popularity(train, num_items)

    def scores(self, histories: Int64[Tensor, "batch history"]) -> csr_array:
        """Nothing stored: the places decide."""
        return csr_array((len(histories), self._num_items), dtype=np.int64)


class ItemKnn:
    """Items by the sum of their similarities to those of the history.

    The similarity of items i != j is the cosine of their columns in the binary matrix of users and
    items, with U(i) the users who took i at least once in training:

        sim(i, j) = |U(i) & U(j)| / sqrt(|U(i)| |U(j)|)

    kept where j is among the most similar to i, and an item's score is the sum of sim(i, j) over
    the items i of the history, one that stands there twice counted twice (the model "item-based
    top-N" of Deshpande and Karypis, ACM TOIS 22(1), 2004, without its normalisation). Items of the
    history may be recommended again, as by the generative models.
    """

    def __init__(self, config: ItemKnnConfig, train: Sequences, num_items: int) -> None:
        """Find every item's nearest, some items at a time.

        Args:
            config: How many are nearest.
            train: The interactions that may be counted.
            num_items: Items of the catalog, those that nobody took included.
        """
        self.config = config
        self.places = places_by_popularity(train, num_items)
        self._nearest = nearest_items(_taken(train, num_items), self.places, config.neighbours)

    def scores(self, histories: Int64[Tensor, "batch history"]) -> csr_array:
        """The sums over each history, right-padded with -1."""
        items = histories.cpu().numpy()
        users, columns = np.nonzero(items >= 0)
        ones = np.ones(len(users), dtype=np.int64)
        shape = (len(items), len(self.places))
        return csr_array((ones, (users, items[users, columns])), shape=shape) @ self._nearest


class BaselineKind(NamedTuple):
    """A baseline's settings, and how it is made of them, training's interactions and num_items."""

    config: type[PopularityConfig] | type[ItemKnnConfig]
    fit: Callable[[Any, Sequences, int], Baseline]


BASELINES: dict[str, BaselineKind] = {
    "popularity": BaselineKind(PopularityConfig, Popularity),
    "item-kNN": BaselineKind(ItemKnnConfig, ItemKnn),
}


def places_by_popularity(train: Sequences, num_items: int) -> Int64[np.ndarray, " items"]:
    """Each item's place, from 0: most interactions first, then by item index."""
    counts = np.bincount(train.items.numpy(), minlength=num_items)
    places = np.empty(num_items, dtype=np.int64)
    places[np.argsort(-counts, kind="stable")] = np.arange(num_items)
    return places


def nearest_items(
    taken: csr_array, places: Int64[np.ndarray, " items"], neighbours: int
) -> csr_array:
    """For every item (row) the `neighbours` most similar others, as in `ItemKnn`.

    Of equally similar ones those with the lower place are nearer. Pairs without a common user have
    no similarity and are never kept.

    Args:
        taken: Ones where a user (row) took an item, int64.
        places: As in `Baseline`.
        neighbours: Most that an item keeps, >= 1.

    Returns:
        `(items, items)` int64 similarities in units of `1 / UNIT`.
    """
    of_item = taken.T.tocsr()
    num_users = np.diff(of_item.indptr).astype(np.int64)
    blocks: list[csr_array] = []
    for start, stop in _blocks(of_item, np.diff(taken.indptr)):
        common = (of_item[start:stop] @ taken).tocsr()
        rows = np.repeat(np.arange(stop - start), np.diff(common.indptr))
        others = common.indices
        products = num_users[start + rows] * num_users[others]
        similarities = np.rint(common.data / np.sqrt(products) * UNIT).astype(np.int64)
        nearness = (similarities << 32) - places[others]  # one number, different for every item
        nearness[others == start + rows] = 0
        kept = _largest(nearness, common.indptr, neighbours)
        content = (similarities[kept], (rows[kept], others[kept]))
        blocks.append(csr_array(content, shape=common.shape))
    return csr_array(vstack(blocks, format="csr"))


def _blocks(of_item: csr_array, lengths: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of items whose rows of common users have up to `ENTRIES_AT_ONCE` entries."""
    partners = np.minimum(of_item @ lengths.astype(np.int64), len(of_item.indptr) - 1)
    up_to = np.concatenate([[0], np.cumsum(partners)])
    ranges: list[tuple[int, int]] = []
    start = 0
    while start < len(partners):
        stop = int(np.searchsorted(up_to, up_to[start] + ENTRIES_AT_ONCE, side="right")) - 1
        ranges.append((start, max(start + 1, stop)))
        start = ranges[-1][1]
    return ranges


def _largest(values: np.ndarray, starts: np.ndarray, most: int) -> np.ndarray:
    """Which values are above 0 and, of their row, among the `most` largest; distinct in a row."""
    kept = values > 0
    for row in np.flatnonzero(np.diff(starts) > most):
        part = slice(starts[row], starts[row + 1])
        kept[part] &= values[part] >= np.partition(values[part], -most)[-most]
    return kept


def _taken(train: Sequences, num_items: int) -> csr_array:
    """Ones where a user (row) took an item (column) at least once."""
    shape = (len(train.user_ids), num_items)
    ones = np.ones(len(train.items), dtype=np.int64)
    content = (ones, train.items.numpy(), train.starts.numpy())
    taken = csr_array(content, shape=shape, copy=True)  # the next line works in place
    taken.sum_duplicates()
    taken.data[:] = 1
    return taken
