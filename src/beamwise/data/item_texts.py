"""What is told of an item, as text on one line."""

from __future__ import annotations

import html
import json


def clean_text(value: object) -> str | None:
    """Text on one line without HTML entities; None where there is none.

    Half a surrogate pair, which is no Unicode text, stays: who reads JSON refuses or replaces it.
    """
    if not isinstance(value, str):
        return None
    return " ".join(html.unescape(value).split()) or None


def as_text(value: object) -> str | None:
    """Any value of a table as `clean_text`: the members of a list, joined by commas; else as JSON.

    None, and a list of nothing else, is None.
    """
    if value is None or isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list | tuple):
        return ", ".join(text for member in value if (text := as_text(member))) or None
    return clean_text(json.dumps(value, ensure_ascii=False, default=str))
