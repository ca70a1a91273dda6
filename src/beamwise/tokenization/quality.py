"""How good a tokenizer's codes are: their use, collisions, and what they keep of the vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32

from beamwise.tokenization.code_geometry import (
    Neighbourhood,
    VarianceLeft,
    prefix_sharing,
    variance_left,
    vector_lengths,
)
from beamwise.tokenization.code_use import CodeUse, measure_code_use, prefix_partitions
from beamwise.tokenization.quality_warnings import (
    UNKNOWN,
    Judged,
    MadeBy,
    QualityWarning,
    quality_warnings,
)


@dataclass(frozen=True)
class TokenizerQuality:
    """All figures on one tokenizer's codes; None where there are no vectors to measure them on."""

    use: CodeUse
    zero_vectors: int | None
    """Items about which the embedding knows nothing."""
    repeated_vectors: int | None
    """Items with the vector of an earlier item, zero vectors not counted."""
    variance: tuple[VarianceLeft, ...] | None
    """For every meaningful level; None also where all vectors are equal."""
    neighbourhood: Neighbourhood | None
    """None also where fewer than two vectors are not zero."""
    warnings: tuple[QualityWarning, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON holds them: one entry in `levels` has all of a level."""
        use = self.use
        return {
            "num_items": use.num_items,
            "codebook_size": use.codebook_size,
            "num_meaningful_levels": use.num_meaningful_levels,
            "distinct_ids": use.distinct_ids,
            "colliding_items": use.colliding_items,
            "sharing_items": use.sharing_items,
            "largest_group": use.largest_group,
            "ids_by_size": [list(pair) for pair in use.ids_by_size],
            "zero_vectors": self.zero_vectors,
            "repeated_vectors": self.repeated_vectors,
            "levels": [self._level(index) for index in range(len(use.levels))],
            "neighbourhood": self._neighbourhood(),
            "warnings": [asdict(warning) for warning in self.warnings],
        }

    def _level(self, index: int) -> Mapping[str, Any]:
        figures: dict[str, Any] = {"level": index + 1, **asdict(self.use.levels[index])}
        figures["items_by_rank"] = list(figures["items_by_rank"])
        is_meaningful = index < self.use.num_meaningful_levels
        if self.variance is not None and is_meaningful:
            figures |= asdict(self.variance[index])
        if self.neighbourhood is not None and is_meaningful:
            sharing = self.neighbourhood.lengths[index]
            figures |= {**asdict(sharing), "lift": sharing.lift}
        return figures

    def _neighbourhood(self) -> Mapping[str, Any] | None:
        if self.neighbourhood is None:
            return None
        return {key: v for key, v in asdict(self.neighbourhood).items() if key != "lengths"}


def measure_quality(
    codes: Int32[np.ndarray, "items levels"],
    vectors: Float32[np.ndarray, "vectors dim"] | None,
    codebook_size: int,
    *,
    num_meaningful_levels: int | None = None,
    made_by: MadeBy | None = None,
    num_neighbours: int = 10,
    num_probes: int = 2000,
    seed: int = 0,
) -> TokenizerQuality:
    """Measure codes of any origin, published ones too: no codebook is needed.

    Args:
        codes: Every item's ID, 0..codebook_size-1.
        vectors: What the codes should keep, a row an item; None measures the codes alone.
        codebook_size: Codes that each level has to offer.
        num_meaningful_levels: Levels before those that only keep items apart (the collision rule
            "suffix" adds one), which count for IDs and for nothing else; None for all levels.
        made_by: The settings that made the codes, for warnings to name remedies that are left;
            None where unknown.
        num_neighbours: Nearest items, by cosine, whose prefixes are compared with a probe's.
        num_probes: Items that are drawn as probes; all where there are no more.
        seed: Of that draw.

    Raises:
        ValueError: If a code is outside its codebook, codes and vectors do not fit together, a
            vector is not finite, or an argument is out of its range.
    """
    num_levels = codes.shape[1]
    meaningful = num_levels if num_meaningful_levels is None else num_meaningful_levels
    _check_counts(num_neighbours=num_neighbours, num_probes=num_probes, codebook_size=codebook_size)
    _check_codes(codes, codebook_size, meaningful)
    prefixes = prefix_partitions(codes)
    use = measure_code_use(codes, prefixes, codebook_size, meaningful)
    if vectors is None:
        judged = Judged(use, None, None, None, None, made_by or UNKNOWN)
    else:
        _check_vectors(vectors, len(codes))
        lengths = vector_lengths(vectors)
        judged = Judged(
            use,
            int((lengths == 0).sum()),
            _repeated(vectors, lengths),
            variance_left(vectors, codes[:, :meaningful], prefixes[:meaningful]),
            prefix_sharing(
                vectors,
                prefixes[:meaningful],
                num_neighbours=num_neighbours,
                num_probes=num_probes,
                seed=seed,
            ),
            made_by or UNKNOWN,
        )
    return TokenizerQuality(
        judged.use,
        judged.zero_vectors,
        judged.repeated_vectors,
        judged.variance,
        judged.neighbourhood,
        quality_warnings(judged),
    )


def _repeated(
    vectors: Float32[np.ndarray, "items dim"], lengths: Float64[np.ndarray, " items"]
) -> int:
    """Rows that are not zero and equal an earlier one, by their bytes' hashes of 64 bits."""
    zero = np.float32(0)  # added since -0.0 equals 0.0 and has other bytes
    hashes = (hash((row + zero).tobytes()) for row in vectors[lengths > 0])
    num_rows = int((lengths > 0).sum())
    return num_rows - len(np.unique(np.fromiter(hashes, np.int64, num_rows)))


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be >= 1, got {count}: raise it")


def _check_codes(
    codes: Int32[np.ndarray, "items levels"], codebook_size: int, num_meaningful_levels: int
) -> None:
    num_items, num_levels = codes.shape
    if not num_items or not num_levels:
        raise ValueError(
            f"got {num_items} items with {num_levels} codes each: give at least one item and level"
        )
    if not 1 <= num_meaningful_levels <= num_levels:
        raise ValueError(
            f"num_meaningful_levels must be in 1..{num_levels}, got {num_meaningful_levels}: "
            "count the levels without a suffix"
        )
    is_bad = codes < 0
    is_bad[:, :num_meaningful_levels] |= codes[:, :num_meaningful_levels] >= codebook_size
    if is_bad.any():
        item, level = np.argwhere(is_bad)[0]
        raise ValueError(
            f"code {codes[item, level]} of item {item}, level {level + 1}, is outside "
            f"0..{codebook_size - 1}: raise codebook_size or correct the code"
        )


def _check_vectors(vectors: Float32[np.ndarray, "vectors dim"], num_items: int) -> None:
    if len(vectors) != num_items or not vectors.shape[1]:
        raise ValueError(
            f"got {num_items:,} items and vectors of shape {vectors.shape}: give one row an item, "
            "in the same order, of at least one dimension"
        )
    # A sum is finite only if its parts are, and needs no array of the vectors' size.
    is_finite = np.isfinite(vectors.sum(axis=1, dtype=np.float64))
    if not is_finite.all():
        item = int(is_finite.argmin())
        column = int(np.isfinite(vectors[item]).argmin())
        raise ValueError(
            f"vector of item {item} holds {vectors[item, column]} in column {column}: "
            "give finite numbers"
        )
