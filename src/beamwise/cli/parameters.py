"""Parameters that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)]


def setting(key: str, path: Path) -> str:
    """The override that gives a setting a path, quoted so that YAML reads it as text."""
    return f"{key}={json.dumps(str(path))}"
