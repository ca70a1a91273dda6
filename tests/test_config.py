from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, PositiveInt

from beamwise.config import (
    Config,
    ConfigError,
    changed_config,
    changed_settings,
    describe_settings,
    merged,
    parse_config,
    read_config,
    write_config,
)


class Apple(Config):
    name: Literal["apple"] = "apple"
    weight: PositiveInt = 3


class Pear(Config):
    name: Literal["pear"] = "pear"
    colour: str = "green"


class Basket(Config):
    fruit: Annotated[Apple | Pear, Field(discriminator="name")] = Apple()
    owner: str
    """Who carries the basket."""
    folder: Path = Path("here")


def test_files_and_overrides_in_order(tmp_path):
    path = tmp_path / "basket.yaml"
    path.write_text("owner: ann\nfruit: {name: apple, weight: 5}\n")
    basket = read_config(Basket, path, ["fruit.weight=6", "fruit.weight=7", "folder=there"])
    assert basket == Basket(owner="ann", fruit=Apple(weight=7), folder=Path("there"))


def test_written_configs_read_back_equal(tmp_path):
    basket = Basket(owner="ann", fruit=Pear(colour="red"))
    write_config(basket, tmp_path / "basket.yaml")
    assert read_config(Basket, tmp_path / "basket.yaml") == basket


def test_an_empty_file_is_no_settings(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    assert read_config(Basket, tmp_path / "empty.yaml", ["owner=bob"]).owner == "bob"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["owner=ann", "oner=bob"], "unknown setting 'oner'; did you mean 'owner'?"),
        (["owner=ann", "fruit.zzzz=1"], "unknown setting 'fruit.zzzz'; known here: name, weight"),
        (["owner=ann", "fruit.name=plum"], "unknown fruit.name 'plum'; choose one of apple, pear"),
        (["owner=ann", "fruit.weight=-1"], "fruit.weight: should be greater than 0 (got -1)"),
        ([], "owner is not set: Who carries the basket."),
        (["owner"], "--set 'owner' is not key.path=value"),
        (["=3"], "--set '=3' is not key.path=value"),
        (["owner=ann", "owner.first=x"], "'owner' is a value, not a group of settings"),
        (["owner=[1"], "the value is not readable as YAML"),
        (["owner=2020-13-45"], "the value is not readable as YAML"),
    ],
)
def test_mistakes_get_one_line(overrides, message):
    with pytest.raises(ConfigError) as error:
        read_config(Basket, None, overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "not readable as YAML"), ("- 1\n- 2\n", "holds a list"), ("\x00", "not readable")],
)
def test_files_that_are_no_settings(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        read_config(Basket, path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no config file at .*nothing\.yaml"):
        read_config(Basket, tmp_path / "nothing.yaml")


def test_models_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse_config(Basket, {"owner": "ann"}, "test").owner = "bob"


def test_settings_can_be_changed_by_file_and_override(tmp_path):
    (tmp_path / "change.yaml").write_text("owner: bob\n")
    basket = Basket(owner="ann", fruit=Apple(weight=5))
    found = changed_config(basket, tmp_path / "change.yaml", ["fruit.weight=6"])
    assert found == Basket(owner="bob", fruit=Apple(weight=6))


def test_merged_replaces_a_component_of_another_name_and_changes_one_of_the_same():
    base = {"a": {"name": "x", "size": 1, "deep": {"p": 1, "q": 2}}, "b": 3}
    assert merged(base, {"a": {"deep": {"q": 5}}}) == {
        "a": {"name": "x", "size": 1, "deep": {"p": 1, "q": 5}},
        "b": 3,
    }
    assert merged(base, {"a": {"name": "x", "size": 2}})["a"]["deep"] == {"p": 1, "q": 2}
    assert merged(base, {"a": {"name": "y"}}) == {"a": {"name": "y"}, "b": 3}
    assert merged(base, {"b": {"c": 1}})["b"] == {"c": 1}
    assert base["a"]["deep"] == {"p": 1, "q": 2}


@pytest.mark.parametrize("text", ["%d/%m/%Y", "@home", "`x`", "\t", "|", ",", "#", "-", "50%"])
def test_what_yaml_reserves_is_text(text):
    assert read_config(Basket, None, [f"owner={text}"]).owner == text


def test_a_folder_is_no_config_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder: give the path of a YAML file"):
        read_config(Basket, tmp_path)


class Ripe(Config):
    days: int
    """How long
    it may lie."""
    where: Literal["sun", "shade"] | None = None


class Shop(Config):
    basket: Basket = Basket(owner="ann", fruit=Apple(weight=5))
    """Not shown: its settings are."""
    ripe: Ripe
    sizes: tuple[int, ...] = Field(default=(1, 2), description="In kg.")


def test_settings_are_described():
    assert describe_settings(Shop) == [
        ("basket.fruit.name", "apple", "apple, pear"),
        ("basket.fruit.weight", "5", "with basket.fruit.name=apple"),
        ("basket.fruit.colour", "green", "with basket.fruit.name=pear"),
        ("basket.owner", "ann", "Who carries the basket."),
        ("basket.folder", "here", ""),
        ("ripe.days", "(needed)", "How long it may lie."),
        ("ripe.where", "null", "sun, shade"),
        ("sizes", "[1, 2]", "In kg."),
    ]
    assert describe_settings(Basket)[3] == ("owner", "(needed)", "Who carries the basket.")
    assert describe_settings(Apple) == [("weight", "3", "")]


def test_described_defaults_are_read_back_as_they_are():
    rows = describe_settings(Basket)
    given = [f"{key}={default}" for key, default, doc in rows if not doc.startswith("with")]
    given = [text.replace("(needed)", "ann") for text in given]
    assert read_config(Basket, None, given) == Basket(owner="ann")


def test_changed_settings():
    assert changed_settings(Basket(owner="ann")) == {"owner": "ann"}
    basket = Basket(owner="ann", fruit=Apple(weight=9), folder=Path("there"))
    assert changed_settings(basket) == {"owner": "ann", "fruit.weight": 9, "folder": "there"}
    assert changed_settings(Shop(ripe=Ripe(days=2))) == {"ripe.days": 2}


class FileVectors(Config):
    name: Literal["file"] = "file"
    file: Path
    """Where they are."""


class Vectors(Config):
    source: Annotated[Apple | FileVectors, Field(discriminator="name")] = Apple()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["source.name=file"], "settings: source.file is not set: Where they are."),
        (["source.name=file", "source.file=3"], "settings: source.file: should be a path (got 3)"),
        (["source.name=file", "source.fil=3"], "unknown setting 'source.fil'; did you mean 'file'"),
    ],
)
def test_a_component_may_have_the_name_of_a_setting(overrides, message):
    with pytest.raises(ConfigError) as raised:
        read_config(Vectors, None, overrides)
    assert message in str(raised.value)
    assert "file.file" not in str(raised.value)
