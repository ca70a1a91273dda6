"""Settings: one frozen model per component, read from YAML and `key.path=value` overrides."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

AnyConfig = TypeVar("AnyConfig", bound="Config")


class Config(BaseModel):
    """Base of every settings model: frozen, unknown keys refused, field docstrings kept as help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _keep_default_choice(cls, values: Any) -> Any:
        """Settings of a component that do not name it are settings of the default one."""
        if not isinstance(values, dict):
            return values
        filled = dict(values)
        for key, field in cls.model_fields.items():
            tag = field.discriminator
            chosen, default = filled.get(key), field.get_default()
            if isinstance(tag, str) and isinstance(chosen, dict) and isinstance(default, Config):
                filled[key] = default.model_dump(include={tag}) | chosen
        return filled


class ConfigError(ValueError):
    """A setting that does not exist or whose value is not accepted; the message is one line."""


def read_config(
    model: type[AnyConfig],
    path: Path | None = None,
    overrides: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
) -> AnyConfig:
    """Read `path` (YAML), apply `key.path=value` overrides in order, and validate.

    Args:
        model: What the settings are of.
        path: YAML file of settings; none where not given.
        overrides: Changes to them.
        base: Settings that hold where the file says nothing.

    Raises:
        ConfigError: If the file is no YAML mapping, an override is malformed, a key is unknown
            (the nearest valid name is shown), or a value is refused.
    """
    if base is None:
        return _validated(model, {}, path, overrides)
    settings = merged(base, {} if path is None else _read_yaml(path))
    return _validated(model, settings, None, overrides)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `base` with `changes` in their place, group by group.

    A component that `changes` chooses by another `name` has none of the settings of `base`.
    """
    if "name" in changes and changes["name"] != base.get("name", changes["name"]):
        return dict(changes)
    settings = dict(base)
    for key, value in changes.items():
        below = settings.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            settings[key] = merged(below, value)
        else:
            settings[key] = value
    return settings


def changed_config(
    config: AnyConfig, path: Path | None = None, overrides: Sequence[str] = ()
) -> AnyConfig:
    """The settings of `config` with those of `path` and then the overrides in their place.

    Raises:
        ConfigError: As `read_config`.
    """
    return _validated(type(config), config.model_dump(mode="json"), path, overrides)


def parse_config(model: type[AnyConfig], settings: dict[str, Any], source: str) -> AnyConfig:
    """Validate a settings mapping, turning every failure into a one-line `ConfigError`."""
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        lines = [_explain(model, settings, dict(detail)) for detail in error.errors()]
        raise ConfigError(f"{source}: {'; '.join(lines)}") from None


def write_config(config: Config, path: Path) -> None:
    """Write every setting, defaults included, as YAML that `read_config` reads back equal."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    path.write_text(text, encoding="utf-8")


def _validated(
    model: type[AnyConfig], settings: dict[str, Any], path: Path | None, overrides: Sequence[str]
) -> AnyConfig:
    if path is not None:
        settings = settings | _read_yaml(path)
    for override in overrides:
        _apply_override(settings, override)
    source = str(path) if path is not None and not overrides else "settings"
    return parse_config(model, settings, source)


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"no config file at {path}: give the path of a YAML file")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is not readable as YAML: {reason}") from None
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{path} holds a {type(settings).__name__}: a config file is a mapping of settings"
        )
    return settings


def _apply_override(settings: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(
            f"--set {override!r} is not key.path=value: write for example --set training.epochs=5"
        )
    *parents, last = key.strip().split(".")
    level = settings
    for parent in parents:
        child = level.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} is a value, not a group of settings")
        level = child
    try:
        level[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override!r}: the value is not readable as YAML") from None


def _explain(model: type[Config], settings: dict[str, Any], detail: dict[str, Any]) -> str:
    location = [str(part) for part in detail["loc"]]
    key = ".".join(part for part in location if part in _written_keys(settings, location))
    key = key or ".".join(location)
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
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    shown = f" (got {value!r})" if not isinstance(value, dict | BaseModel) else ""
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _written_keys(settings: dict[str, Any], location: list[str]) -> set[str]:
    """The parts of a pydantic location that are keys of the settings, not tags of a union."""
    keys: set[str] = set()
    level: Any = settings
    for part in location:
        if isinstance(level, dict) and part in level:
            keys.add(part)
            level = level[part]
    keys.add(location[-1] if location else "")
    return keys


def _names_beside(model: type[Config], location: list[str]) -> list[str]:
    """Valid setting names at the level of the last part of `location`."""
    here: list[type[BaseModel]] = [model]
    for part in location[:-1]:
        below: list[type[BaseModel]] = []
        for candidate in here:
            field = candidate.model_fields.get(part)
            if field is not None:
                below.extend(_models_of(field))
        tagged = [m for m in here if _tag(m) == part]
        here = below or tagged or here
    return sorted({name for candidate in here for name in candidate.model_fields})


def _models_of(field: FieldInfo) -> list[type[BaseModel]]:
    pending: list[Any] = [field.annotation]
    found: list[type[BaseModel]] = []
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        pending.extend(get_args(annotation))
    return found


def _tag(model: type[BaseModel]) -> str | None:
    name = model.model_fields.get("name")
    return None if name is None else str(name.default)


def _description(model: type[Config], location: list[str]) -> str:
    here: list[type[BaseModel]] = [model]
    field: FieldInfo | None = None
    for part in location:
        field = next((m.model_fields[part] for m in here if part in m.model_fields), None)
        here = _models_of(field) if field is not None else here
    return (field.description if field is not None else None) or "a value is needed"
