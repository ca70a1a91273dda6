"""The registry of sources."""

from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from beamwise.data.sources import SOURCES, AnySourceConfig, SimulatedShopConfig, read_source


def test_names_agree_with_configs():
    known = {"semantic-id-json", "simulated-shop", "table", "amazon", "movielens", "yelp"}
    assert set(SOURCES) == known | {"title-windows"}
    for name, source in SOURCES.items():
        assert source.config.model_fields["name"].default == name
        assert {source.path, source.items} - {None} <= set(source.config.model_fields)


def test_the_union_holds_every_source():
    union = get_args(AnySourceConfig)[0]
    assert set(get_args(union)) == {source.config for source in SOURCES.values()}


def test_a_name_chooses_the_source():
    adapter = TypeAdapter(AnySourceConfig)
    config = adapter.validate_python({"name": "simulated-shop", "num_users": 3})
    assert config == SimulatedShopConfig(num_users=3)
    assert read_source(config).interactions.num_users == 3
    with pytest.raises(ValidationError):
        adapter.validate_python({"name": "web-shop"})
