"""Items become vectors, vectors become codes, collisions are settled: also for later items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float32, Int32

from beamwise.catalog import Catalog
from beamwise.config import Config, read_config, write_config
from beamwise.data.dataset import EMBEDDINGS_FOLDER
from beamwise.tokenization.codes import codes_of
from beamwise.tokenization.collisions import CollisionMethod, CrowdedIdError, Resolution, resolve
from beamwise.tokenization.embeddings import (
    EMBEDDINGS,
    AnyEmbeddingConfig,
    Embedding,
    TfidfSvdConfig,
)
from beamwise.tokenization.embeddings.cache import fit_cached
from beamwise.tokenization.quantizers import (
    QUANTIZERS,
    AnyQuantizerConfig,
    Quantizer,
    RQKMeansConfig,
)

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""
CONFIG_FILE, EMBEDDING_FOLDER, QUANTIZER_FOLDER = "config.yaml", "embedding", "quantizer"


class QuantizedConfig(Config):
    """Semantic IDs made from the items themselves."""

    name: Literal["quantized"] = "quantized"
    embedding: AnyEmbeddingConfig = TfidfSvdConfig()
    """How an item becomes a vector."""
    quantizer: AnyQuantizerConfig = RQKMeansConfig()
    """How a vector becomes codes."""
    collisions: CollisionMethod = "reassign"
    """What becomes of items with equal codes: `suffix` tells them apart by an extra level,
    `reassign` by the nearest free code of the last level, `share` leaves them equal."""
    end_token: bool = False
    """Close every item with an end token, as released code of papers has it."""


@dataclass(frozen=True, eq=False)
class ItemTokenizer:
    """A fitted tokenizer: codes for any items, those that come later included."""

    config: QuantizedConfig
    embedding: Embedding
    quantizer: Quantizer

    @property
    def codebook_size(self) -> int:
        """Codes a level."""
        return self.quantizer.codebook_size

    def save(self, folder: Path) -> None:
        """Write settings, embedding and quantizer into `folder`, made if absent."""
        for name, part in ((EMBEDDING_FOLDER, self.embedding), (QUANTIZER_FOLDER, self.quantizer)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            part.save(folder / name)
        write_config(self.config, folder / CONFIG_FILE)

    @classmethod
    def load(cls, folder: Path, overrides: Sequence[str] = ()) -> ItemTokenizer:
        """Read what `save` wrote.

        Args:
            folder: Where it was saved.
            overrides: key.path=value of settings that may be others for later items, as the file
                that vectors are read from.

        Raises:
            ValueError: If the folder holds no fitted tokenizer, a file is damaged, or a setting
                that codes depend on would be another.
        """
        if not (folder / CONFIG_FILE).is_file():
            raise ValueError(
                f"no fitted tokenizer at {folder}: only codes made by `beamwise tokenize` from "
                "vectors can be extended to new items"
            )
        config = read_config(QuantizedConfig, folder / CONFIG_FILE, overrides)
        _check_same_form(read_config(QuantizedConfig, folder / CONFIG_FILE), config)
        load_embedding = EMBEDDINGS[config.embedding.name].load
        load_quantizer = QUANTIZERS[config.quantizer.name].load
        return cls(
            config,
            load_embedding(config.embedding, folder / EMBEDDING_FOLDER),
            load_quantizer(config.quantizer, folder / QUANTIZER_FOLDER),
        )

    def extend(
        self, catalog: Catalog, items: pl.DataFrame, progress: Progress | None = None
    ) -> Catalog:
        """A catalog of `items` in which those of `catalog` keep their tokens.

        The vocabulary does not grow, so that a model of `catalog` can recommend from the new one.

        Args:
            catalog: Made by this tokenizer; an item retired in it stays retired.
            items: item_id, and what this tokenizer makes vectors from, in the order that the new
                catalog's item indices will follow.
            progress: Told of the embedding.

        Raises:
            ValueError: If an item has no vector, or a collision cannot be settled.
        """
        taken = codes_of(catalog, self.codebook_size)
        is_known = items["item_id"].is_in(catalog.item_ids.implode()).to_numpy()
        known_ids = items["item_id"].filter(pl.Series(is_known))
        codes = np.empty((len(items), taken.shape[1]), dtype=np.int32)
        codes[is_known] = taken[catalog.indices_of(known_ids).cpu().numpy()]
        if not is_known.all():
            new_items = items.filter(pl.Series(~is_known))
            vectors = self.embedding.embed(new_items, named("embedding new items", progress))
            codes[~is_known] = self.settled(vectors, self.quantizer.encode(vectors), taken).codes
        extended = Catalog.from_codes(
            codes, self.codebook_size, items["item_id"], self.config.end_token
        )
        retired = catalog.retired_ids
        return extended.with_retired(retired.filter(retired.is_in(known_ids.implode())))

    def settled(
        self,
        vectors: Float32[np.ndarray, "items dim"],
        codes: Int32[np.ndarray, "items levels"],
        taken: Int32[np.ndarray, "others more_levels"] | None = None,
    ) -> Resolution:
        """The codes after collisions, among themselves and with `taken`, were settled."""
        try:
            return resolve(
                codes,
                self.config.collisions,
                self.codebook_size,
                lambda rows: self.quantizer.last_level_distances(vectors[rows], codes[rows]),
                taken,
            )
        except CrowdedIdError as error:
            raise ValueError(f"{error}: {self._room(taken is not None)}") from None

    def _room(self, is_fitted: bool) -> str:
        """What to do where an extra level is full."""
        quantizer = self.config.quantizer
        more = [f"raise quantizer.num_levels from {quantizer.num_levels}"]
        more += [f"quantizer.codebook_size from {self.codebook_size}"]
        more += [] if quantizer.balanced else ["set quantizer.balanced=true"]
        anew = "tokenize all items anew, since fitted codebooks cannot grow, and " * is_fitted
        return f"{anew}{' or '.join(more)}"


@dataclass(frozen=True, eq=False)
class FittedItems:
    """A tokenizer and the items that it was fitted to."""

    tokenizer: ItemTokenizer
    vectors: Float32[np.ndarray, "items dim"]
    settled: Resolution
    """The items' codes, and what settling collisions took."""


def fit_items(
    config: QuantizedConfig, items: pl.DataFrame, folder: Path, progress: Progress | None = None
) -> FittedItems:
    """Fit a tokenizer to items and code them.

    Args:
        config: How.
        items: item_id, and what the embedding reads.
        folder: The items' dataset folder, which keeps vectors by the content they were made from.
        progress: Told of embedding and quantising.

    Raises:
        ValueError: If an item has no vector, or a collision cannot be settled.
    """
    config = config.model_copy(update={"embedding": config.embedding.at(folder)})
    embedding, vectors = fit_cached(
        config.embedding, items, folder / EMBEDDINGS_FOLDER, named("embedding items", progress)
    )
    fit = QUANTIZERS[config.quantizer.name].fit
    quantizer, codes = fit(config.quantizer, vectors, named("quantising vectors", progress))
    tokenizer = ItemTokenizer(config, embedding, quantizer)
    return FittedItems(tokenizer, vectors, tokenizer.settled(vectors, codes))


def _check_same_form(fitted: QuantizedConfig, config: QuantizedConfig) -> None:
    """Refuse settings under which a token sequence would have another length."""
    for name, value in (("end_token", config.end_token), ("collisions", config.collisions)):
        before = getattr(fitted, name)
        if value != before and (name == "end_token" or "suffix" in (value, before)):
            raise ValueError(
                f"the catalog was made with {name}={before}, not {value}: leave that setting out, "
                "or tokenize all items again"
            )


def named(name: str, progress: Progress | None) -> Callable[[int, int], None]:
    """The part of `progress` that is told of one kind of work."""
    if progress is None:
        return _ignore
    return lambda done, total: progress(name, done, total)


def _ignore(_done: int, _total: int) -> None:
    pass
