"""A prepared and tokenized data folder, as training and evaluation read it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from beamwise.catalog import Catalog
from beamwise.data.dataset import CATALOG_FOLDER, TOKENIZER_FOLDER, Dataset
from beamwise.data.splitting import Sequences, sequences_of, split_sequences, training_part
from beamwise.sequences.windows import Windows
from beamwise.tokenization.embeddings import CoOccurrenceConfig
from beamwise.tokenization.fitted import fitted_config
from beamwise.tokenization.item_tokenizer import QuantizedConfig
from beamwise.training.config import DataConfig


@dataclass(frozen=True, eq=False)
class RunData:
    """Catalog, item texts, and the windows of the three parts of a split."""

    catalog: Catalog
    items: pl.DataFrame
    """`item_id`, `title` and more, a row an item, in the catalog's order."""
    user_ids: pl.Series
    train: Windows
    validation: Windows
    test: Windows
    train_sequences: Sequences
    """What training may count: every user's items without the targets of the other parts."""
    sequences: Sequences
    """All of every user's items."""

    @cached_property
    def version(self) -> str:
        """Hash of users, what they took and in which order, targets of all parts, and catalog.

        Equal for data on which the same settings train and test the same.
        """
        digest = hashlib.sha256(self.catalog.version.encode())
        digest.update("\0".join(self.user_ids).encode())
        tensors = [self.sequences.items, self.sequences.starts, self.train_sequences.starts]
        for windows in (self.train, self.validation, self.test):
            tensors += [windows.users, windows.positions, windows.history_lengths]
        for tensor in tensors:
            digest.update(f"{tensor.dtype} {len(tensor)}".encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]

    @classmethod
    def load(cls, config: DataConfig) -> RunData:
        """Read the folder and split it as the settings say.

        Raises:
            ValueError: If the folder is no dataset, has no catalog, the two disagree, the data
                cannot be split in that way, or the codes were made from what is to be predicted.
        """
        dataset = Dataset.load(config.folder)
        if not (config.folder / CATALOG_FOLDER).is_dir():
            raise ValueError(
                f"{config.folder} has no catalog yet: run `beamwise tokenize {config.folder}`"
            )
        _check_codes_know_only_training(config)
        catalog = Catalog.load(config.folder / CATALOG_FOLDER)
        return cls.split(config, dataset, catalog)

    @classmethod
    def split(cls, config: DataConfig, dataset: Dataset, catalog: Catalog) -> RunData:
        """The users of a dataset whose items are those of a catalog, split as the settings say.

        Raises:
            ValueError: If an item of the catalog is unknown, or the data cannot be so split.
        """
        items = items_of_catalog(catalog, dataset.items, config.folder)
        sequences = sequences_of(dataset.interactions, catalog.item_ids, dataset.targets)
        try:
            split = split_sequences(sequences, config.split)
        except ValueError as error:
            raise ValueError(f"{config.folder}: {error}") from None
        train, validation, test = (
            Windows(sequences, targets, config.max_history)
            for targets in (split.train, split.validation, split.test)
        )
        counted = training_part(sequences, split)
        return cls(catalog, items, sequences.user_ids, train, validation, test, counted, sequences)


def _check_codes_know_only_training(config: DataConfig) -> None:
    """Refuse codes that were made from the interactions of another split's training part."""
    tokenizer = fitted_config(config.folder / TOKENIZER_FOLDER)
    if not isinstance(tokenizer, QuantizedConfig):
        return
    embedding = tokenizer.embedding
    if isinstance(embedding, CoOccurrenceConfig) and embedding.split != config.split:
        raise ValueError(
            f"the codes in {config.folder} come from the training part of a split "
            f"{embedding.split.name!r}, so they know targets of {config.split.name!r}: tokenize "
            f"again with --set embedding.split.name={config.split.name} and the split's shares, or "
            "train with data.split as it was"
        )


def items_of_catalog(catalog: Catalog, items: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """The item table in the catalog's order.

    Raises:
        ValueError: If an item of the catalog has no row.
    """
    ids = catalog.item_ids.rename("item_id").to_frame()
    known = ids.join(items.select("item_id"), on="item_id", how="semi")
    if len(known) != len(ids):
        missing = ids.join(items, on="item_id", how="anti")["item_id"][0]
        raise ValueError(
            f"{folder}: item {missing!r} of the catalog has no row in items.parquet; "
            "run `beamwise tokenize` again"
        )
    return ids.join(items, on="item_id", how="left", maintain_order="left")
