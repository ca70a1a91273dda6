"""What is wrong with settings, a line each: keys as written, and what would be accepted."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

KINDS = {
    "tuple": "a list",
    "list": "a list",
    "dict": "a group of settings",
    "model": "a group of settings",
    "path": "a path",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
}
"""What a value should be, by the first word of pydantic's type of error."""
WRONG_TYPE = ("type", "parsing", "from_float", "attributes_type")
"""The rest of that type, where the value is of another kind."""


def explanations(
    model: type[BaseModel], settings: dict[str, Any], details: Sequence[dict[str, Any]]
) -> list[str]:
    """A line for every setting that is refused; one that may be several things has one as well."""
    by_key: dict[str, list[dict[str, Any]]] = {}
    for detail in details:
        by_key.setdefault(".".join(_written_keys(settings, detail)), []).append(detail)
    lines: list[str] = []
    for key, alternatives in by_key.items():
        if any(other.startswith(f"{key}.") for other in by_key if key):
            continue  # what is wrong further down says more
        if len(alternatives) == 1:
            lines.append(_explain(model, key, alternatives[0]))
        else:
            near = [each for each in alternatives if not _is_of_another_kind(each)]
            wanted = " or ".join(dict.fromkeys(_expected(each) for each in near or alternatives))
            lines.append(f"{key}: should be {wanted} (got {alternatives[0]['input']!r})")
    return lines


def _expected(detail: dict[str, Any]) -> str:
    """What would have been accepted, to follow "should be"."""
    kind, _, failure = detail["type"].partition("_")
    if kind in KINDS and failure in WRONG_TYPE:
        return KINDS[kind]
    return detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")


def _is_of_another_kind(detail: dict[str, Any]) -> bool:
    """Whether the value is not even nearly what it was tried as."""
    kind, _, failure = detail["type"].partition("_")
    return kind == "literal" or (kind in KINDS and failure in WRONG_TYPE)


def _explain(model: type[BaseModel], key: str, detail: dict[str, Any]) -> str:
    location = [str(part) for part in detail["loc"]]
    if detail["type"] == "extra_forbidden":
        known = _names_beside(model, location)
        nearest = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known here: {', '.join(known)}"
        return f"unknown setting {key!r}; {hint}"
    if detail["type"] == "union_tag_invalid":
        choices = detail["ctx"]["expected_tags"].replace("'", "")
        tag = detail["ctx"]["tag"]
        field = detail["ctx"]["discriminator"].strip("'")
        return f"unknown {key}.{field} {tag!r}; choose one of {choices}"
    if detail["type"] == "missing":
        return f"{key} is not set: {_description(model, location)}"
    if detail["type"] == "union_tag_not_found":
        return f"{key}.name is not set: {_description(model, location)}"
    if detail["type"] == "string_pattern_mismatch":
        return f"{key}: {detail['input']!r} is not accepted: {_description(model, location)}"
    if detail["type"] == "model_attributes_type" and _is_choice(model, location):
        return f"{key}: should be a group of settings: write {key}.name (got {detail['input']!r})"
    message = detail["msg"].removeprefix("Value error, ")
    if message.startswith("Input ") or _is_of_another_kind(detail):
        message = f"should be {_expected(detail)}"
    value = detail["input"]
    shown = f" (got {value!r})" if not isinstance(value, dict | BaseModel) else ""
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _written_keys(settings: dict[str, Any], detail: dict[str, Any]) -> list[str]:
    """The parts of a pydantic location that are keys of the settings.

    Not those that say which of several things a value was tried as.
    """
    keys: list[str] = []
    level: Any = settings
    tag = None  # of the component that `level` chooses, until it was met: a key may have its name
    for part in map(str, detail["loc"]):
        if part == tag:
            tag = None
            continue
        if isinstance(level, list | tuple) and part.isdigit():
            level = level[int(part)]
        elif isinstance(level, dict) and part in level:
            level = level[part]
        else:
            continue
        keys.append(part)
        tag = level.get("name") if isinstance(level, dict) else None
    return [*keys, str(detail["loc"][-1])] if detail["type"] == "missing" else keys


def _names_beside(model: type[BaseModel], location: list[str]) -> list[str]:
    """Valid setting names at the level of the last part of `location`."""
    here: list[type[BaseModel]] = [model]
    for part in location[:-1]:
        below: list[type[BaseModel]] = []
        for candidate in here:
            field = candidate.model_fields.get(part)
            if field is not None:
                below.extend(models_of(field))
        tagged = [m for m in here if tag_of(m) == part]
        here = below or tagged or here
    return sorted({name for candidate in here for name in candidate.model_fields})


def models_of(field: FieldInfo) -> list[type[BaseModel]]:
    pending: list[Any] = [field.annotation]
    found: list[type[BaseModel]] = []
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        pending.extend(get_args(annotation))
    return found


def tag_of(model: type[BaseModel]) -> str | None:
    name = model.model_fields.get("name")
    return None if name is None else str(name.default)


def _is_choice(model: type[BaseModel], location: list[str]) -> bool:
    """Whether a setting is one of several components, chosen by name."""
    field = _field_at(model, location)
    return field is not None and field.discriminator is not None


def _description(model: type[BaseModel], location: list[str]) -> str:
    field = _field_at(model, location)
    return (field.description if field is not None else None) or "a value is needed"


def _field_at(model: type[BaseModel], location: list[str]) -> FieldInfo | None:
    here: list[type[BaseModel]] = [model]
    field: FieldInfo | None = None
    for place, part in enumerate(location):
        tagged = [m for m in here if tag_of(m) == part]
        if tagged and place < len(location) - 1:
            here = tagged
            continue
        field = next((m.model_fields[part] for m in here if part in m.model_fields), None)
        here = models_of(field) if field is not None else here
    return field
