"""Where datasets come from, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from beamwise.config import Config
from beamwise.data.dataset import Dataset
from beamwise.data.sources.amazon import AmazonConfig, read_amazon
from beamwise.data.sources.movielens import MovieLensConfig, read_movielens
from beamwise.data.sources.semantic_id_json import SemanticIdJsonConfig, read_semantic_id_json
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop
from beamwise.data.sources.table import TableConfig, read_table_source
from beamwise.data.sources.title_windows import TitleWindowsConfig, read_title_windows
from beamwise.data.sources.yelp import YelpConfig, read_yelp


class Source(NamedTuple):
    """A source's settings and the function that reads it."""

    config: type[Config]
    read: Callable[[Any], Dataset]
    path: str | None = None
    """The setting that names what is read; None where nothing is."""
    items: str | None = None
    """The setting that names the file of items; None where there is none of its own."""


SOURCES: dict[str, Source] = {
    "semantic-id-json": Source(SemanticIdJsonConfig, read_semantic_id_json, "folder"),
    "simulated-shop": Source(SimulatedShopConfig, read_simulated_shop),
    "table": Source(TableConfig, read_table_source, "file", "items"),
    "amazon": Source(AmazonConfig, read_amazon, "reviews", "metadata"),
    "movielens": Source(MovieLensConfig, read_movielens, "folder"),
    "yelp": Source(YelpConfig, read_yelp, "folder"),
    "title-windows": Source(TitleWindowsConfig, read_title_windows, "folder"),
}

AnySourceConfig = Annotated[
    SemanticIdJsonConfig
    | SimulatedShopConfig
    | TableConfig
    | AmazonConfig
    | MovieLensConfig
    | YelpConfig
    | TitleWindowsConfig,
    Field(discriminator="name"),
]
"""The type of a setting that chooses a source by `name`."""


def read_source(config: AnySourceConfig) -> Dataset:
    """Read the dataset that `config` names."""
    return SOURCES[config.name].read(config)
