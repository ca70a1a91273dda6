"""What a quantizer is: codes for vectors, level by level, fitted once and kept in a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32, Integer
from pydantic import Field, NonNegativeInt, PositiveInt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from beamwise.config import Config
from beamwise.tokenization.quantizers.residual_codebooks import blocks

TENSORS = "quantizer.safetensors"
SIZES = "quantizer.json"

LARGEST_CODEBOOK, SMALLEST_CODEBOOK, ITEMS_PER_CODE = 256, 16, 8
"""Of the default size of a codebook: papers take 256, and with fewer than 8 items a code the first
code all but names the item, so that a model learns little from one item about others."""

Progress = Callable[[int, int], None]
"""Called with how much of the fitting is done, and of how much."""


class QuantizerConfig(Config):
    """What every quantizer needs to know."""

    num_levels: PositiveInt = 4
    """Codes of an item."""
    codebook_size: PositiveInt | None = None
    """Codes of a level, of which fewer exist where fewer residuals differ. Where null, 256, and for
    fewer than 2,048 items the largest power of two with 8 items a code, 16 at least."""
    normalize: bool = True
    """Scale every vector to length 1, so that codes are of directions; vectors of 0 stay 0."""
    balanced: bool = False
    """Give every code of a level at most ceil(items / codes) items: fewer items share codes, and
    neighbours share fewer."""
    seed: NonNegativeInt = Field(default=0, lt=2**32)
    """Of all that is random."""

    def codebook_size_for(self, num_items: int) -> int:
        """The codes of a level for so many items."""
        if self.codebook_size is not None:
            return self.codebook_size
        fitting = 1 << max(num_items // ITEMS_PER_CODE, 1).bit_length() - 1
        return min(max(fitting, SMALLEST_CODEBOOK), LARGEST_CODEBOOK)


@runtime_checkable
class Quantizer(Protocol):
    """A fitted quantizer: it codes the items that it was fitted on, and those that come later."""

    @property
    def num_levels(self) -> int:
        """Codes of an item."""
        ...

    @property
    def codebook_size(self) -> int:
        """Codes that a level may have."""
        ...

    def encode(
        self, vectors: Float32[np.ndarray, "items dim"]
    ) -> Int32[np.ndarray, "items levels"]:
        """The nearest code of every level, given the levels before it.

        Raises:
            ValueError: If the vectors have another length than those it was fitted on, or a value
                is not finite.
        """
        ...

    def last_level_distances(
        self, vectors: Float32[np.ndarray, "items dim"], codes: Integer[np.ndarray, "items levels"]
    ) -> Float32[np.ndarray, "items codebook_size"]:
        """Squared distances of what the levels before the last leave to every code of the last.

        Infinite for codes that do not exist. The last column of `codes` does not matter.

        Raises:
            ValueError: As `encode`.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON; `QUANTIZERS[name].load(config, folder)` reads them."""
        ...


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


def prepared(
    vectors: Float32[np.ndarray, "items dim"], normalize: bool, dim: int | None = None
) -> Float32[np.ndarray, "items dim"]:
    """A copy of the vectors that may be overwritten, each of length 1 where `normalize`.

    Raises:
        ValueError: If there is no vector, a value is not finite, or the length is not `dim`.
    """
    if dim is not None and vectors.shape[1] != dim:
        raise ValueError(
            f"vectors have {vectors.shape[1]} numbers, the quantizer was fitted on {dim}: "
            "embed the items as those it was fitted on"
        )
    copy = np.empty(vectors.shape, np.float32)
    for rows in blocks(len(vectors), vectors.shape[1]):
        part = vectors[rows]
        if not np.isfinite(part).all():
            bad = int(np.argmin(np.isfinite(part).all(1)))
            raise ValueError(
                f"the vector of item {rows.start + bad} has a value that is not finite: "
                "embed that item again or drop it"
            )
        norms = np.linalg.norm(part.astype(np.float64), axis=1, keepdims=True)
        copy[rows] = part / np.where(norms > 0, norms, 1) if normalize else part
    return copy


def checked_for_fit(
    vectors: Float32[np.ndarray, "items dim"], normalize: bool
) -> Float32[np.ndarray, "items dim"]:
    """As `prepared`; without items or numbers there is nothing to fit.

    Raises:
        ValueError: Also if `vectors` is empty.
    """
    if vectors.size == 0:
        raise ValueError(f"need vectors (items >= 1, dim >= 1) to fit, got {vectors.shape}")
    return prepared(vectors, normalize)


def write_quantizer(folder: Path, tensors: dict[str, np.ndarray], sizes: dict[str, Any]) -> None:
    """Write a quantizer's arrays and its plain values, each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(arrays, folder / f"{TENSORS}.unfinished")
    os.replace(folder / f"{TENSORS}.unfinished", folder / TENSORS)
    unfinished = folder / f"{SIZES}.unfinished"
    unfinished.write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, folder / SIZES)


def read_quantizer(
    folder: Path, config: QuantizerConfig, name: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `write_quantizer` wrote.

    Raises:
        ValueError: If a file is missing or damaged, or the quantizer is not one of `config`.
    """
    for path in (folder / TENSORS, folder / SIZES):
        if not path.is_file():
            raise ValueError(f"no quantizer at {path}: tokenize the data again")
    try:
        tensors = load_file(folder / TENSORS)
        sizes = json.loads((folder / SIZES).read_text(encoding="utf-8"))
    except (SafetensorError, UnicodeDecodeError, json.JSONDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"the quantizer in {folder} is damaged ({reason}): tokenize the data again"
        ) from None
    expected = {
        "name": name,
        "num_levels": config.num_levels,
        "normalize": config.normalize,
    }
    if config.codebook_size is not None:
        expected["codebook_size"] = config.codebook_size
    for key, value in expected.items():
        found = sizes.get(key) if isinstance(sizes, dict) else None
        if found != value:
            raise ValueError(
                f"{folder / SIZES} has {key} {found!r}, the settings {value!r}: "
                "use the settings that it was fitted with"
            )
    return tensors, sizes
