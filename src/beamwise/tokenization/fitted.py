"""The tokenizer that a dataset or run folder keeps, of whatever kind it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from beamwise.config import read_config
from beamwise.tokenization.item_tokenizer import CONFIG_FILE, ItemTokenizer, QuantizedConfig
from beamwise.tokenization.title_tokenizer import TitlesConfig, TitleTokenizer

FittedTokenizer = ItemTokenizer | TitleTokenizer
"""Codes items that come later as well; nothing else does."""


class _Kind(NamedTuple):
    config: type[QuantizedConfig] | type[TitlesConfig]
    load: Callable[[Path, Sequence[str]], FittedTokenizer]


_KINDS: dict[str, _Kind] = {
    "quantized": _Kind(QuantizedConfig, ItemTokenizer.load),
    "titles": _Kind(TitlesConfig, TitleTokenizer.load),
}


def load_fitted(folder: Path, overrides: Sequence[str] = ()) -> FittedTokenizer:
    """Read the tokenizer of a folder named `tokenizer`.

    Args:
        folder: Where it was saved.
        overrides: key.path=value of settings that may be others for later items.

    Raises:
        ValueError: If there is none, a file is damaged, or a setting may not be another.
    """
    return _kind_of(folder).load(folder, overrides)


def fitted_config(folder: Path) -> QuantizedConfig | TitlesConfig | None:
    """Its settings; None where there is no tokenizer.

    Raises:
        ValueError: If the file of settings is damaged.
    """
    path = folder / CONFIG_FILE
    return read_config(_kind_of(folder).config, path) if path.is_file() else None


def has_titles(folder: Path) -> bool:
    """Whether the items that it coded are their titles; not so where there is no tokenizer.

    Raises:
        ValueError: As `fitted_config`.
    """
    return isinstance(fitted_config(folder), TitlesConfig)


def _kind_of(folder: Path) -> _Kind:
    """Told by the name in the settings; what is not readable is left to that kind's reader."""
    try:
        settings = yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        settings = None
    name = settings.get("name") if isinstance(settings, dict) else None
    return _KINDS["titles" if name == "titles" else "quantized"]
