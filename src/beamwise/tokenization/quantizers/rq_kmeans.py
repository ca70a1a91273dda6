"""Quantizer `rq-kmeans`: k-means on the vectors, then on what each level leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int32, Integer
from pydantic import PositiveInt

from beamwise.tokenization.quantizers.balanced_assignment import balanced_means
from beamwise.tokenization.quantizers.base import (
    Progress,
    QuantizerConfig,
    checked_for_fit,
    no_progress,
    prepared,
    read_quantizer,
    write_quantizer,
)
from beamwise.tokenization.quantizers.residual_codebooks import (
    ResidualCodebooks,
    cluster_means,
    kmeans,
    nearest,
    subtract,
)


class RQKMeansConfig(QuantizerConfig):
    """Residual k-means; the defaults were measured on Office texts (4 levels of 256 codes)."""

    name: Literal["rq-kmeans"] = "rq-kmeans"
    iterations: PositiveInt = 25
    """Rounds of k-means for each level."""
    items_per_code: PositiveInt = 256
    """k-means learns from at most codebook_size times so many items, drawn at random."""


@dataclass(frozen=True, eq=False)
class RQKMeans:
    """Residual codebooks over the vectors themselves."""

    codebooks: ResidualCodebooks
    normalize: bool

    @property
    def num_levels(self) -> int:
        """Codes of an item."""
        return self.codebooks.num_levels

    @property
    def codebook_size(self) -> int:
        """Codes that a level may have."""
        return self.codebooks.codebook_size

    def encode(
        self, vectors: Float32[np.ndarray, "items dim"]
    ) -> Int32[np.ndarray, "items levels"]:
        """As `Quantizer.encode`."""
        return self.codebooks.encode(prepared(vectors, self.normalize, self.codebooks.dim))

    def last_level_distances(
        self, vectors: Float32[np.ndarray, "items dim"], codes: Integer[np.ndarray, "items levels"]
    ) -> Float32[np.ndarray, "items codebook_size"]:
        """As `Quantizer.last_level_distances`."""
        copies = prepared(vectors, self.normalize, self.codebooks.dim)
        return self.codebooks.last_level_distances(copies, codes)

    def save(self, folder: Path) -> None:
        """As `Quantizer.save`."""
        sizes = self.codebooks.sizes | {"name": "rq-kmeans", "normalize": self.normalize}
        write_quantizer(folder, {"centroids": self.codebooks.centroids}, sizes)


def fit_rq_kmeans(
    config: RQKMeansConfig,
    vectors: Float32[np.ndarray, "items dim"],
    progress: Progress = no_progress,
) -> tuple[RQKMeans, Int32[np.ndarray, "items levels"]]:
    """Fit a codebook on the vectors, the next on what the first leaves, and so on.

    A level has min(codebook_size, distinct residuals) codes; where residuals are as few, they are
    the codes. Codes are numbered by how many items they have, most first, and among equals by
    their first item. The same seed gives the same codes, but for rounding, with any number of
    threads.

    Balanced: after plain k-means, rounds of balanced assignment, each followed by new centroids
    (`balanced_means`). The codes returned are those of the last, not the nearest.

    Args:
        config: The settings.
        vectors: One row an item; one copy is made of them.
        progress: Called after every level.

    Returns:
        The quantizer, and the items' codes.

    Raises:
        ValueError: If there are no vectors or a value is not finite.
    """
    residuals = checked_for_fit(vectors, config.normalize)
    levels: list[np.ndarray] = []
    codes = np.empty((len(vectors), config.num_levels), np.int32)
    random = np.random.default_rng(config.seed)
    for level in range(config.num_levels):
        centroids, codes[:, level] = _fit_level(config, residuals, random)
        subtract(residuals, centroids, codes[:, level])
        levels.append(centroids)
        progress(level + 1, config.num_levels)
    codebooks = ResidualCodebooks.of_levels(levels, config.codebook_size_for(len(vectors)))
    return RQKMeans(codebooks, config.normalize), codes


def load_rq_kmeans(config: RQKMeansConfig, folder: Path) -> RQKMeans:
    """Read what `RQKMeans.save` wrote.

    Raises:
        ValueError: If a file is missing or damaged, or was fitted with other settings.
    """
    tensors, sizes = read_quantizer(folder, config, "rq-kmeans")
    return RQKMeans(ResidualCodebooks.of_file(tensors, sizes, folder), config.normalize)


def _fit_level(
    config: RQKMeansConfig,
    residuals: Float32[np.ndarray, "items dim"],
    random: np.random.Generator,
) -> tuple[Float32[np.ndarray, "codes dim"], Int32[np.ndarray, " items"]]:
    size = config.codebook_size_for(len(residuals))
    sampled = size * config.items_per_code
    centroids = kmeans(residuals, size, config.iterations, sampled, random)
    if config.balanced:
        centroids, codes = balanced_means(residuals, centroids)
    else:
        # Means of all items in float64: equal vectors then leave exactly nothing.
        centroids = cluster_means(residuals, nearest(residuals, centroids), centroids)
        codes = nearest(residuals, centroids)
    order = _most_items_first(codes, len(centroids))
    new_number = np.empty(len(order), np.int32)
    new_number[order] = np.arange(len(order))
    return centroids[order], new_number[codes]


def _most_items_first(codes: Int32[np.ndarray, " items"], num_codes: int) -> np.ndarray:
    first_item = np.full(num_codes, len(codes))
    held, first = np.unique(codes, return_index=True)
    first_item[held] = first
    counts = np.bincount(codes, minlength=num_codes)
    return np.lexsort((first_item, -counts))
