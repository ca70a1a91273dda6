"""Files that hold one JSON object, read whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""As JSON writes one; two halves make a character, one alone is no text."""


def read_json_object(path: Path, content: str) -> dict[str, Any]:
    """The file's one JSON object, which must not be empty nor repeat a key.

    Args:
        path: The file.
        content: What the object is of, for messages, as in "items and their texts".

    Raises:
        ValueError: One line with the file, what is wrong with it, and the fix.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        value = _parse(path, text)
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is not readable as JSON text ({reason}): copy it again") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}: an object of {content} is needed")
    if not value:
        raise ValueError(f"{path} holds an empty object: {content} are needed")
    if SURROGATE.search(text):
        _check_unicode(path, value)
    return value


def _check_unicode(path: Path, value: dict[str, Any]) -> None:
    for key, content in value.items():
        try:
            json.dumps([key, content], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{path}: {key!r} holds half a surrogate pair, which is no Unicode text: "
                "correct or drop it"
            ) from None


def _parse(path: Path, text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _object(path, pairs))
    except json.JSONDecodeError as error:
        is_cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        what = "is cut short" if is_cut else "is not JSON"
        raise ValueError(
            f"{path} {what} at line {error.lineno} ({error.msg}): copy it again from its source"
        ) from None


def _object(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"{path} has the key {repeated!r} twice: keep one")
    return built
