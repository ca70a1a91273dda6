"""From items to tokens: the tokenizers, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from beamwise.config import Config
from beamwise.tokenization.item_ids import ItemIdsConfig, tokenize_item_ids
from beamwise.tokenization.item_tokenizer import Progress, QuantizedConfig
from beamwise.tokenization.quantized import tokenize_quantized
from beamwise.tokenization.semantic_ids import SemanticIdsConfig, tokenize_semantic_ids
from beamwise.tokenization.title_tokenizer import TitlesConfig
from beamwise.tokenization.titles import tokenize_titles
from beamwise.tokenization.tokenized import Tokenized, retired_before, still_retired


class TokenizerMethod(NamedTuple):
    """A tokenizer's settings, and the function that tokenizes a dataset folder by them."""

    config: type[Config]
    tokenize: Callable[[Any, Path, Progress | None], Tokenized]


TOKENIZERS: dict[str, TokenizerMethod] = {
    "semantic-ids": TokenizerMethod(SemanticIdsConfig, tokenize_semantic_ids),
    "quantized": TokenizerMethod(QuantizedConfig, tokenize_quantized),
    "item-ids": TokenizerMethod(ItemIdsConfig, tokenize_item_ids),
    "titles": TokenizerMethod(TitlesConfig, tokenize_titles),
}

AnyTokenizerConfig = Annotated[
    SemanticIdsConfig | QuantizedConfig | ItemIdsConfig | TitlesConfig, Field(discriminator="name")
]
"""The type of a setting that chooses a tokenizer by `name`."""


def tokenize(
    folder: Path, config: AnyTokenizerConfig, progress: Progress | None = None
) -> Tokenized:
    """Give every item of a dataset folder its tokens, and save the catalog there.

    Items that were retired in the folder's catalog, if it had one, stay retired.

    Args:
        folder: What `beamwise prepare` wrote.
        config: Which tokenizer, and its settings.
        progress: Told what is being done, how much of it is done, and of how much.

    Raises:
        ValueError: If the folder is no dataset, its items cannot be tokenized so, or its catalog is
            damaged.
    """
    retired = retired_before(folder)
    tokenized = TOKENIZERS[config.name].tokenize(config, folder, progress)
    tokenized = replace(tokenized, catalog=still_retired(tokenized.catalog, retired))
    tokenized.save(folder)
    return tokenized
