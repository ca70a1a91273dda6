"""Embedding `co-occurrence`: items that the same users take are near; needs no texts.

With A the users x items matrix of a training part, 1 where the user took the item, and D_u, D_i the
diagonal matrices of its row and column sums, the vectors are the rows of

    V S of the truncated singular value decomposition U S V^T = D_u^-1/2 A D_i^-1/2

the relaxed normalised cut of the bipartite graph of users and items (Dhillon 2001), scaled to
length 1. The largest singular value, which only says that the graph hangs together, is left in.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from jaxtyping import Float32
from pydantic import NonNegativeInt, PositiveInt

from beamwise.data.dataset import INTERACTIONS_FILE
from beamwise.data.interactions import Interactions
from beamwise.data.published_targets import TARGETS_FILE, read_targets
from beamwise.data.splitting import (
    AnySplitConfig,
    LeaveOneOutConfig,
    sequences_of,
    split_sequences,
    training_part,
)
from beamwise.tokenization.embeddings.base import EmbeddingConfig, Progress, rows_of, unit_rows
from beamwise.tokenization.embeddings.fingerprint import file_fingerprint, strings_fingerprint
from beamwise.tokenization.embeddings.state import load_state, save_state
from beamwise.tokenization.item_texts import check_missing


class CoOccurrenceConfig(EmbeddingConfig):
    """Vectors from who takes items together, in the training part of the split alone."""

    FREE_LATER: ClassVar[frozenset[str]] = frozenset({"data", "missing"})
    ONLY_SPEED: ClassVar[frozenset[str]] = frozenset({"data"})

    name: Literal["co-occurrence"] = "co-occurrence"
    data: Path | None = None
    """Dataset folder whose interactions are counted; the one that is tokenized where not given."""
    split: AnySplitConfig = LeaveOneOutConfig()
    """As in the run that will be trained: what it validates and tests on is not counted."""
    dim: PositiveInt = 64
    """Numbers in a vector at most."""
    missing: Literal["refuse", "blank"] = "blank"
    """Items that nobody took in the training part: `refuse` them, or give all of them the zero
    vector, so that only the collision rule separates them."""
    seed: NonNegativeInt = 0
    """Of the randomised decomposition."""

    def at(self, folder: Path) -> CoOccurrenceConfig:
        """The same for the interactions of a dataset folder, where none is set."""
        return self if self.data is not None else self.model_copy(update={"data": folder})


class CoOccurrenceEmbedding:
    """The vectors of the items that were there when it was fitted."""

    def __init__(
        self,
        config: CoOccurrenceConfig,
        item_ids: pl.Series,
        vectors: Float32[np.ndarray, "fitted dim"],
    ) -> None:
        self.config = config
        self.item_ids = item_ids
        self.vectors = vectors

    def embed(
        self, items: pl.DataFrame, progress: Progress | None = None
    ) -> Float32[np.ndarray, "items dim"]:
        """The vectors of `items`, of length 1, or 0 for one that nobody took.

        Raises:
            ValueError: If nobody took an item and `missing` is "refuse", or an item was not there
                when the embedding was fitted.
        """
        rows = rows_of(self.item_ids, items)
        lost = items["item_id"].filter(rows.is_null())
        if len(lost):
            raise ValueError(
                f"item {lost[0]!r} came after the embedding was fitted ({len(lost):,} items did), "
                "and co-occurrence knows nothing of such items: tokenize all items again by their "
                "texts, as with --set embedding.name=tfidf-svd"
            )
        vectors = self.vectors[rows.to_numpy()]
        is_missing = (vectors == 0).all(axis=1)
        what = "was taken by nobody in the training part"
        check_missing(items["item_id"], is_missing, self.config.missing, what)
        if progress is not None:
            progress(len(items), len(items))
        return vectors

    def save(self, folder: Path) -> None:
        """Write ids and vectors."""
        facts = {"item_ids": self.item_ids.to_list()}
        save_state(folder, self.config, facts, {"vectors": self.vectors})


def fit_co_occurrence(
    config: CoOccurrenceConfig, items: pl.DataFrame, progress: Progress | None = None
) -> CoOccurrenceEmbedding:
    """Count and decompose; deterministic, whatever the number of threads.

    Raises:
        ValueError: If `data` is not set, has no interactions, or cannot be split so.
    """
    from scipy.sparse import csr_array, diags_array
    from sklearn.utils.extmath import randomized_svd  # takes over a second to import
    from threadpoolctl import threadpool_limits

    path = _interactions_of(config)
    sequences = sequences_of(
        Interactions.read(path), items["item_id"], read_targets(path.with_name(TARGETS_FILE))
    )
    train = training_part(sequences, split_sequences(sequences, config.split))
    shape = (len(train.user_ids), len(items))
    ones = np.ones(len(train.items), dtype=np.float32)
    taken = csr_array((ones, train.items.numpy(), train.starts.numpy()), shape=shape)
    taken.sum_duplicates()
    taken.data[:] = 1
    by_user, by_item = (np.maximum(taken.sum(axis=axis), 1) ** -0.5 for axis in (1, 0))
    weights = (diags_array(by_user) @ taken @ diags_array(by_item)).tocsr().astype(np.float32)
    with threadpool_limits(limits=1):  # sums in another order give other bits
        _, values, directions = randomized_svd(
            weights, min(config.dim, *shape), random_state=config.seed
        )
    vectors = unit_rows(np.ascontiguousarray((directions * values[:, None]).T, dtype=np.float32))
    vectors[np.bincount(train.items.numpy(), minlength=len(items)) == 0] = 0
    if progress is not None:
        progress(len(items), len(items))
    return CoOccurrenceEmbedding(config, items["item_id"], vectors)


def load_co_occurrence(config: CoOccurrenceConfig, folder: Path) -> CoOccurrenceEmbedding:
    """Read what `CoOccurrenceEmbedding.save` wrote.

    Raises:
        ValueError: If it is missing or damaged, or was fitted with other settings.
    """
    facts, arrays = load_state(folder, config)
    item_ids, vectors = facts.get("item_ids"), arrays.get("vectors")
    if item_ids is None or vectors is None or len(item_ids) != len(vectors):
        raise ValueError(f"the embedding in {folder} is missing or damaged: tokenize again")
    return CoOccurrenceEmbedding(config, pl.Series("item_id", item_ids, dtype=pl.String), vectors)


def co_occurrence_fingerprint(config: CoOccurrenceConfig, items: pl.DataFrame) -> str:
    """A hash of the interactions, the items' ids in order, and the targets published with them."""
    path = _interactions_of(config)
    targets = path.with_name(TARGETS_FILE)
    published = f" {file_fingerprint(targets)}" if targets.exists() else ""
    return f"{file_fingerprint(path)} {strings_fingerprint(items['item_id'])}{published}"


def _interactions_of(config: CoOccurrenceConfig) -> Path:
    if config.data is None:
        raise ValueError(
            "embedding.data is not set: name the dataset folder whose interactions are counted"
        )
    return config.data / INTERACTIONS_FILE
