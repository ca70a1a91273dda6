"""Parameters that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
ShowSettings = Annotated[bool, Parameter(name="--settings", negative="", show_default=False)]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)]


def setting(key: str, text: Path | str) -> str:
    """The override that gives a setting a path or text, quoted so that YAML takes it literally."""
    quoted = yaml.safe_dump(str(text), default_style='"', width=float("inf"))
    return f"{key}={quoted.strip()}"
