"""Settings: one frozen model per component, read from YAML and `key.path=value` overrides."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from beamwise._config_errors import explanations, models_of, tag_of

AnyConfig = TypeVar("AnyConfig", bound="Config")
CANNOT_BEGIN_YAML = ("%", "@", "`", "\t")
"""What no plain value of YAML begins with; in an override it begins a text, as %d/%m/%Y."""
ONE_SIGN = frozenset(",|>#*&!?-:'\"")
"""Signs that are no value of YAML when they stand alone; in an override they are a text."""
NEEDED = "(needed)"
"""In the place of a default where there is none."""


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

    An override that chooses a component by another `name` than before comes first, and the settings
    of the one before are dropped: they are another's.

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
        lines = explanations(model, settings, [dict(detail) for detail in error.errors()])
        raise ConfigError(f"{source}: {'; '.join(lines)}") from None


def write_config(config: Config, path: Path) -> None:
    """Write every setting, defaults included, as YAML that `read_config` reads back equal.

    The file appears complete or not at all.
    """
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


class SettingRow(NamedTuple):
    """A setting, as a list of them shows it."""

    key: str
    """Its path, as `--set` takes it."""
    default: str
    """As YAML would have it on one line; `NEEDED` where there is none."""
    doc: str
    """What it means, on one line."""


def describe_settings(
    model: type[Config], prefix: str = "", base: Config | None = None
) -> list[SettingRow]:
    """Every setting of a model and of the models in it, in their order.

    Where one of several components is chosen by name, the settings of each follow the choice, and
    their meaning says which component they are of.

    Args:
        model: What the settings are of.
        prefix: Path of the model in another one, with its dot.
        base: A model of the same type, whose values are the defaults; the model's own where none.
    """
    values = {} if base is None else dict(base)
    rows: list[SettingRow] = []
    for name, field in model.model_fields.items():
        own = field.get_default(call_default_factory=True, validated_data={})
        needed = field.is_required() and base is None
        if not (name == "name" and get_args(field.annotation) == (own,)):  # not a mere tag
            rows += _rows_of(f"{prefix}{name}", field, NEEDED if needed else values.get(name, own))
    return rows


def changed_settings(config: Config) -> dict[str, Any]:
    """The settings that differ from their defaults, by path; values as YAML has them."""
    return _flat(config.model_dump(mode="json", exclude_defaults=True), "")


def _flat(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _rows_of(key: str, field: FieldInfo, default: Any) -> list[SettingRow]:
    doc = " ".join((field.description or "").split())
    models = [m for m in reversed(models_of(field)) if issubclass(m, Config)]
    if isinstance(field.discriminator, str):
        return _rows_of_choice(key, field.discriminator, models, default, doc)
    if models:
        bases = [default if isinstance(default, model) else None for model in models]
        both = zip(models, bases, strict=True)
        return [row for model, base in both for row in describe_settings(model, f"{key}.", base)]
    if choices := _literals_of(field.annotation):
        doc = f"{', '.join(choices)}: {doc}".removesuffix(": ")
    return [SettingRow(key, default if default is NEEDED else _as_yaml(default), doc)]


def _rows_of_choice(
    key: str, tag: str, models: Sequence[type[Config]], default: Any, doc: str
) -> list[SettingRow]:
    """The choice itself, then the settings of each component that can be chosen."""
    chosen = dict(default)[tag] if isinstance(default, Config) else NEEDED
    choices = ", ".join(str(tag_of(model)) for model in models)
    rows = [SettingRow(f"{key}.{tag}", chosen, f"{choices}: {doc}".removesuffix(": "))]
    for model in models:
        base = default if isinstance(default, model) else None
        for row in describe_settings(model, f"{key}.", base):
            told = f"with {key}.{tag}={tag_of(model)}: {row.doc}"
            rows.append(row._replace(doc=told.removesuffix(": ")))
    return rows


def _literals_of(annotation: Any) -> list[str]:
    """The texts that a setting can be, where it can only be some."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [text for below in get_args(annotation) for text in _literals_of(below)]


def _as_yaml(value: Any) -> str:
    """On one line, without the marks of a document."""
    text = yaml.safe_dump(
        TypeAdapter(Any).dump_python(value, mode="json"),
        default_flow_style=True,
        width=float("inf"),
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _validated(
    model: type[AnyConfig], settings: dict[str, Any], path: Path | None, overrides: Sequence[str]
) -> AnyConfig:
    if path is not None:
        settings = settings | _read_yaml(path)
    for override in sorted(overrides, key=_is_setting):  # components are chosen first
        _apply_override(settings, override)
    source = str(path) if path is not None and not overrides else "settings"
    return parse_config(model, settings, source)


def _read_yaml(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: give the path of a YAML file")
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
        is_text = text.startswith(CANNOT_BEGIN_YAML) or text.strip() in ONE_SIGN
        value = text if is_text else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # ValueError: a date that there is not
        raise ConfigError(f"--set {override!r}: the value is not readable as YAML") from None
    if last == "name" and parents and level.get("name", value) != value:
        level.clear()  # another component has settings of its own
    level[last] = value


def _is_setting(override: str) -> bool:
    """Whether an override changes a setting of a component rather than choosing the component."""
    return not override.partition("=")[0].strip().endswith(".name")
