"""Settings of runs that come with the package, by name."""

from __future__ import annotations

import difflib
from importlib.resources import files
from typing import Any

import yaml

_FOLDER = files("beamwise") / "presets"
PRESETS = tuple(sorted(f.name.removesuffix(".yaml") for f in _FOLDER.iterdir()))


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset, to be completed and changed.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in PRESETS:
        nearest = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose one of {', '.join(PRESETS)}"
        raise ValueError(f"unknown preset {name!r}; {hint}")
    return yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
