"""Where datasets come from, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from beamwise.config import Config
from beamwise.data.dataset import Dataset
from beamwise.data.sources.semantic_id_json import SemanticIdJsonConfig, read_semantic_id_json
from beamwise.data.sources.simulated_shop import SimulatedShopConfig, read_simulated_shop


class Source(NamedTuple):
    """A source's settings and the function that reads it."""

    config: type[Config]
    read: Callable[[Any], Dataset]


SOURCES: dict[str, Source] = {
    "semantic-id-json": Source(SemanticIdJsonConfig, read_semantic_id_json),
    "simulated-shop": Source(SimulatedShopConfig, read_simulated_shop),
}

AnySourceConfig = Annotated[SemanticIdJsonConfig | SimulatedShopConfig, Field(discriminator="name")]
"""The type of a setting that chooses a source by `name`."""


def read_source(config: AnySourceConfig) -> Dataset:
    """Read the dataset that `config` names."""
    return SOURCES[config.name].read(config)
