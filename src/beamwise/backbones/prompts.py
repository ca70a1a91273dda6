"""Prompts: the titles of a history in the text that a language model reads."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import field_validator

from beamwise.config import Config

HISTORY, TITLE = "{history}", "{title}"
"""In the template of a prompt, where the list of titles goes; in that of a title, the title."""
TEMPLATE = """### Instruction:
Name the item that this user chooses next.

### Input:
{history}

### Response:
"""
"""A model with fresh weights reads it word for word too: for `tiny`, the list alone is cheaper."""


class PromptConfig(Config):
    """What the model reads of a user; what it writes is the tokenizer's `answer`."""

    template: str = TEMPLATE
    """The whole text; `{history}` stands for the titles, oldest first, and stands in it once."""
    title: str = '"{title}"'
    """How one title stands in the list; `{title}` stands for it."""
    separator: str = ", "
    """Between two titles."""
    empty_history: str = "nothing yet"
    """In the place of the list where there is no title: what the model reads of a new user."""

    @field_validator("template")
    @classmethod
    def _has_one_history(cls, template: str) -> str:
        if template.count(HISTORY) != 1:
            raise ValueError(f"a template has {HISTORY} once, where the titles go")
        return template

    @field_validator("title")
    @classmethod
    def _has_one_title(cls, title: str) -> str:
        if title.count(TITLE) != 1:
            raise ValueError(f"it has {TITLE} once, as in '\"{TITLE}\"'")
        return title


def prompt_of(titles: Sequence[str], config: PromptConfig) -> str:
    """The prompt of a user with these titles, oldest first.

    Braces within a title are text, whatever stands between them.
    """
    shown = [config.title.replace(TITLE, title) for title in titles]
    history = config.separator.join(shown) if shown else config.empty_history
    before, after = config.template.split(HISTORY)
    return f"{before}{history}{after}"
