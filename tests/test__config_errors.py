"""Every refused setting has one line: its key as written, what is accepted, what was given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, PositiveInt, ValidationError

from beamwise._config_errors import explanations


class Apple(BaseModel, use_attribute_docstrings=True, extra="forbid"):
    name: Literal["apple"] = "apple"
    apple: PositiveInt | tuple[PositiveInt, ...] = 1
    """How many a slice holds."""


class Pear(BaseModel, use_attribute_docstrings=True, extra="forbid"):
    name: Literal["pear"] = "pear"
    tree: Literal["none"] | Path
    """Where it grew."""


class Basket(BaseModel, use_attribute_docstrings=True, extra="forbid"):
    fruit: Annotated[Apple | Pear, Field(discriminator="name")] = Apple()
    """What is in it."""
    code: str = Field(default="a1", pattern="^[a-z][0-9]$")
    """A letter and a digit."""
    shelves: tuple[Apple, ...] = ()
    heavy: bool = False


def lines(settings: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as error:
        Basket.model_validate(settings)
    return explanations(Basket, settings, [dict(detail) for detail in error.value.errors()])


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"fruit": {"name": "apple", "apple": 0}}, "fruit.apple: should be greater than 0 (got 0)"),
        (
            {"fruit": {"name": "apple", "apple": "x"}},
            "fruit.apple: should be a whole number or a list (got 'x')",
        ),
        (
            {"fruit": {"name": "apple", "apple": [2, 0]}},
            "fruit.apple.1: should be greater than 0 (got 0)",
        ),
        (
            {"fruit": {"name": "pear", "tree": 3}},
            "fruit.tree: should be 'none' or a path (got 3)",
        ),
        ({"fruit": {"name": "pear"}}, "fruit.tree is not set: Where it grew."),
        ({"fruit": {"apple": 3}}, "fruit.name is not set: What is in it."),
        ({"fruit": {"name": "fig"}}, "unknown fruit.name 'fig'; choose one of apple, pear"),
        (
            {"fruit": "pear"},
            "fruit: should be a group of settings: write fruit.name (got 'pear')",
        ),
        ({"fruit": {"name": "apple", "aple": 3}}, "unknown setting 'fruit.aple'; did you mean"),
        ({"code": "1a"}, "code: '1a' is not accepted: A letter and a digit."),
        ({"shelves": None}, "shelves: should be a list (got None)"),
        ({"shelves": [{"apple": 1}, 3]}, "shelves.1: should be a group of settings (got 3)"),
        ({"shelves": [{"apple": 1}, {"apple": -1}]}, "shelves.1.apple: should be greater than 0"),
        ({"heavy": "very"}, "heavy: should be true or false (got 'very')"),
    ],
)
def test_one_line_names_the_key_and_what_is_accepted(settings: dict[str, Any], line: str) -> None:
    (told,) = lines(settings)
    assert told.startswith(line)


def test_every_setting_has_its_line() -> None:
    assert lines({"code": "1a", "heavy": "very"}) == [
        "code: '1a' is not accepted: A letter and a digit.",
        "heavy: should be true or false (got 'very')",
    ]
