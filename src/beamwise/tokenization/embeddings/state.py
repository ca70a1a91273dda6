"""What a fitted embedding keeps: arrays, plain facts and its settings, as safetensors and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy import ndarray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from beamwise.tokenization.embeddings.base import EmbeddingConfig

FACTS_FILE = "embedding.json"
ARRAYS_FILE = "embedding.safetensors"


def save_state(
    folder: Path, config: EmbeddingConfig, facts: dict[str, Any], arrays: Mapping[str, ndarray]
) -> None:
    """Write the state into `folder`, which is made where it is missing.

    Args:
        folder: Where to write.
        config: The settings of the fit, which `load_state` compares.
        facts: Plain JSON values.
        arrays: By name; may be empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = config.model_dump(mode="json")
    text = json.dumps({"settings": settings, "facts": facts}, ensure_ascii=False)
    (folder / FACTS_FILE).write_text(text, encoding="utf-8")
    save_file(dict(arrays), folder / ARRAYS_FILE)


def load_state(folder: Path, config: EmbeddingConfig) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Read facts and arrays back.

    Raises:
        ValueError: One line, if a file is missing or damaged, or a setting that the vectors depend
            on is not that of the fit.
    """
    path = folder / FACTS_FILE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        settings, facts = state["settings"], state["facts"]
        arrays = load_file(folder / ARRAYS_FILE)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        raise ValueError(
            f"the embedding in {folder} is missing or damaged ({reason}): tokenize again"
        ) from None
    _check_settings(path, settings, config)
    return facts, arrays


def _check_settings(path: Path, fitted: dict[str, Any], config: EmbeddingConfig) -> None:
    free = config.ONLY_SPEED | config.FREE_LATER
    for name, value in config.model_dump(mode="json").items():
        if name not in free and fitted.get(name) != value:
            raise ValueError(
                f"{path} was fitted with embedding.{name}={fitted.get(name)!r}, not {value!r}: "
                "use the settings of the fit, or tokenize all items again"
            )
