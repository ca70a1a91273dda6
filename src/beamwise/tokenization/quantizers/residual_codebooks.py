"""Codes of vectors, level by level: each level codes what the levels before it left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float32, Int32, Integer

BLOCK_ELEMENTS = 1 << 22
"""Elements of a temporary array, 16 MiB of float32: what bounds memory on large catalogs."""


@dataclass(frozen=True, eq=False)
class ResidualCodebooks:
    """One codebook a level over the residuals of the levels before it.

    With r_0 the vector and e the centroids, c_l = argmin_c |r_l - e[l, c]|^2 and
    r_{l+1} = r_l - e[l, c_l].
    """

    centroids: Float32[np.ndarray, "levels codebook_size dim"]
    num_codes: tuple[int, ...]
    """Codes of each level that exist, the lowest ones; further rows of `centroids` are 0."""

    @classmethod
    def of_levels(
        cls, levels: list[Float32[np.ndarray, "_ dim"]], codebook_size: int
    ) -> ResidualCodebooks:
        """Put levels together that have up to `codebook_size` codes each."""
        shape = (len(levels), codebook_size, levels[0].shape[1])
        centroids = np.zeros(shape, np.float32)
        for padded, level in zip(centroids, levels, strict=True):
            padded[: len(level)] = level
        return cls(centroids, tuple(len(level) for level in levels))

    @classmethod
    def of_file(
        cls, tensors: dict[str, np.ndarray], sizes: dict[str, Any], folder: Path
    ) -> ResidualCodebooks:
        """The codebooks that were saved as the tensor `centroids` beside `sizes`.

        Raises:
            ValueError: If the two do not fit one another.
        """
        centroids, num_codes = tensors.get("centroids"), sizes.get("num_codes")
        shape = tuple(sizes.get(key) for key in ("num_levels", "codebook_size", "dim"))
        fits = (
            isinstance(centroids, np.ndarray)
            and centroids.dtype == np.float32
            and centroids.shape == shape
            and isinstance(num_codes, list)
            and len(num_codes) == shape[0]
            and all(isinstance(n, int) and 1 <= n <= centroids.shape[1] for n in num_codes)
        )
        if not fits:
            raise ValueError(
                f"the files of the quantizer in {folder} do not fit one another: "
                "tokenize the data again"
            )
        return cls(tensors["centroids"], tuple(sizes["num_codes"]))

    @property
    def sizes(self) -> dict[str, Any]:
        """What `of_file` needs beside the centroids."""
        return {
            "num_levels": self.num_levels,
            "codebook_size": self.codebook_size,
            "dim": self.dim,
            "num_codes": list(self.num_codes),
        }

    @property
    def num_levels(self) -> int:
        """Codes of an item."""
        return self.centroids.shape[0]

    @property
    def codebook_size(self) -> int:
        """Codes that a level may have."""
        return self.centroids.shape[1]

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.centroids.shape[2]

    def encode(
        self, vectors: Float32[np.ndarray, "items dim"]
    ) -> Int32[np.ndarray, "items levels"]:
        """The nearest code of every level, the lower one of equally near ones."""
        codes = np.empty((len(vectors), self.num_levels), np.int32)
        for rows in blocks(len(vectors), max(self.codebook_size, self.dim)):
            residuals = vectors[rows].copy()
            for level, (centroids, count) in enumerate(
                zip(self.centroids, self.num_codes, strict=True)
            ):
                codes[rows, level] = nearest(residuals, centroids[:count])
                residuals -= centroids[codes[rows, level]]
        return codes

    def last_level_distances(
        self, vectors: Float32[np.ndarray, "items dim"], codes: Integer[np.ndarray, "items levels"]
    ) -> Float32[np.ndarray, "items codebook_size"]:
        """Squared distance of the residual before the last level to every code of the last.

        Infinite for codes that do not exist. The last column of `codes` does not matter.
        """
        residuals = vectors.copy()
        for level in range(self.num_levels - 1):
            residuals -= self.centroids[level, codes[:, level]]
        distances = np.full((len(vectors), self.codebook_size), np.inf, np.float32)
        count = self.num_codes[-1]
        distances[:, :count] = squared_distances(residuals, self.centroids[-1, :count])
        return distances


def squared_distances(
    vectors: Float32[np.ndarray, "items dim"], centroids: Float32[np.ndarray, "codes dim"]
) -> Float32[np.ndarray, "items codes"]:
    """|x - e|^2 as |x|^2 - 2 x e + |e|^2, one matrix product; rounding below 0 is 0."""
    distances = vectors @ centroids.T
    distances *= -2
    distances += np.square(centroids).sum(1)
    distances += np.square(vectors).sum(1, keepdims=True)
    return np.maximum(distances, 0, out=distances)


def nearest(
    vectors: Float32[np.ndarray, "items dim"], centroids: Float32[np.ndarray, "codes dim"]
) -> Int32[np.ndarray, " items"]:
    """The nearest centroid of every vector, the lower one of equally near ones."""
    codes = np.empty(len(vectors), np.int32)
    half_norms = np.square(centroids).sum(1) / 2
    for rows in blocks(len(vectors), len(centroids)):
        codes[rows] = (half_norms - vectors[rows] @ centroids.T).argmin(1)
    return codes


def kmeans(
    vectors: Float32[np.ndarray, "items dim"],
    most_codes: int,
    iterations: int,
    most_sampled: int,
    random: np.random.Generator,
) -> Float32[np.ndarray, "codes dim"]:
    """Centroids of k-means (faiss) on the vectors.

    Args:
        vectors: One row an item, at least one.
        most_codes: Centroids, where as many vectors differ; else the distinct vectors themselves.
        iterations: Rounds of assignment and means.
        most_sampled: Vectors looked at, drawn without replacement where there are more.
        random: Draws the sample and seeds the start.
    """
    import faiss  # takes some tenths of a second

    sample = vectors
    if len(vectors) > most_sampled:
        sample = vectors[np.sort(random.choice(len(vectors), most_sampled, replace=False))]
    seed = int(random.integers(2**31))
    distinct = np.unique(sample, axis=0)
    if len(distinct) <= most_codes:
        return distinct
    clustering = faiss.Kmeans(
        vectors.shape[1],
        most_codes,
        niter=iterations,
        seed=seed,
        min_points_per_centroid=1,  # no warning: a catalog may be small
        max_points_per_centroid=len(sample),  # no second sampling
    )
    # Not the distinct vectors with weights: faiss then draws fewer starts where items are dense,
    # and on Office a tenth more of them share codes.
    clustering.train(sample)
    assert clustering.centroids is not None
    return clustering.centroids


def subtract(
    residuals: Float32[np.ndarray, "items dim"],
    centroids: Float32[np.ndarray, "codes dim"],
    codes: Int32[np.ndarray, " items"],
) -> None:
    """Take every item's centroid from its residual, in place and in blocks."""
    for rows in blocks(len(residuals), residuals.shape[1]):
        residuals[rows] -= centroids[codes[rows]]


def cluster_means(
    vectors: Float32[np.ndarray, "items dim"],
    codes: Int32[np.ndarray, " items"],
    centroids: Float32[np.ndarray, "codes dim"],
) -> Float32[np.ndarray, "codes dim"]:
    """The mean of every code's items; a code without items keeps its row of `centroids`.

    Summed in float64, so the mean of equal vectors is that vector and their residual exactly 0.
    """
    num_codes, dim = centroids.shape
    sums = np.zeros((num_codes, dim))
    for rows in blocks(len(vectors), dim):
        part = codes[rows]
        ones = np.ones(len(part), np.float64)  # what the product is computed in
        members = scipy.sparse.csr_array(
            (ones, (part, np.arange(len(part)))), shape=(num_codes, len(part))
        )
        sums += members @ vectors[rows]
    counts = np.bincount(codes, minlength=num_codes)[:, None]
    return np.where(counts > 0, sums / np.maximum(counts, 1), centroids).astype(np.float32)


def blocks(num_rows: int, row_elements: int) -> Iterator[slice]:
    """Slices that cover all rows, each of at most `BLOCK_ELEMENTS` elements and at least a row."""
    step = max(1, BLOCK_ELEMENTS // max(1, row_elements))
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))
