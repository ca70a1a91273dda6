import pytest
from pydantic import ValidationError

from beamwise.backbones.prompts import PromptConfig, prompt_of


def test_golden():
    config = PromptConfig(template="Played: {history}.\n", title="<{title}>", separator="; ")
    assert prompt_of(["Chess", "Go"], config) == "Played: <Chess>; <Go>.\n"


def test_the_default_quotes_titles_in_order_and_ends_where_the_answer_begins():
    prompt = prompt_of(["b", "a"], PromptConfig())
    assert '\n"b", "a"\n' in prompt
    assert prompt.endswith("### Response:\n")


def test_an_empty_history_has_a_text_of_its_own():
    config = PromptConfig(template="{history}!", empty_history="new here")
    assert prompt_of([], config) == "new here!"


@pytest.mark.parametrize("title", ["{history}", "{title}", "a {0} b", "{"])
def test_braces_in_a_title_are_text(title):
    config = PromptConfig(template="[{history}]")
    assert prompt_of([title, "x"], config) == f'["{title}", "x"]'


@pytest.mark.parametrize("template", ["no place", "{history} and {history}"])
def test_a_template_has_one_place_for_the_history(template):
    with pytest.raises(ValidationError, match=r"a template has \{history\} once"):
        PromptConfig(template=template)


def test_a_title_has_one_place_for_the_title():
    with pytest.raises(ValidationError, match=r"it has \{title\} once"):
        PromptConfig(title="title")
