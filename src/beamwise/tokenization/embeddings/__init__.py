"""Vectors of items, by the name of the method that makes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from beamwise.tokenization.embeddings.base import (
    Embedding,
    EmbeddingConfig,
    EmbeddingMethod,
    Progress,
    TextEmbeddingConfig,
)
from beamwise.tokenization.embeddings.co_occurrence import (
    CoOccurrenceConfig,
    co_occurrence_fingerprint,
    fit_co_occurrence,
    load_co_occurrence,
)
from beamwise.tokenization.embeddings.file import (
    FileConfig,
    file_content_fingerprint,
    fit_file,
    load_file_embedding,
)
from beamwise.tokenization.embeddings.fingerprint import text_fingerprint
from beamwise.tokenization.embeddings.huggingface import (
    HuggingFaceConfig,
    fit_huggingface,
    huggingface_fingerprint,
    load_huggingface,
)
from beamwise.tokenization.embeddings.minilm import (
    MiniLMConfig,
    fit_minilm,
    load_minilm,
    minilm_fingerprint,
)
from beamwise.tokenization.embeddings.tfidf_svd import (
    TfidfSvdConfig,
    fit_tfidf_svd,
    load_tfidf_svd,
)

EMBEDDINGS: dict[str, EmbeddingMethod] = {
    "tfidf-svd": EmbeddingMethod(TfidfSvdConfig, fit_tfidf_svd, load_tfidf_svd, text_fingerprint),
    "minilm": EmbeddingMethod(MiniLMConfig, fit_minilm, load_minilm, minilm_fingerprint),
    "huggingface": EmbeddingMethod(
        HuggingFaceConfig, fit_huggingface, load_huggingface, huggingface_fingerprint
    ),
    "co-occurrence": EmbeddingMethod(
        CoOccurrenceConfig, fit_co_occurrence, load_co_occurrence, co_occurrence_fingerprint
    ),
    "file": EmbeddingMethod(FileConfig, fit_file, load_file_embedding, file_content_fingerprint),
}
"""`EMBEDDINGS[config.name].fit(config, items, progress)` gives an `Embedding`."""

AnyEmbeddingConfig = Annotated[
    TfidfSvdConfig | MiniLMConfig | HuggingFaceConfig | CoOccurrenceConfig | FileConfig,
    Field(discriminator="name"),
]
"""The settings of any embedding, told apart by `name`."""

__all__ = [
    "EMBEDDINGS",
    "AnyEmbeddingConfig",
    "CoOccurrenceConfig",
    "Embedding",
    "EmbeddingConfig",
    "EmbeddingMethod",
    "FileConfig",
    "HuggingFaceConfig",
    "MiniLMConfig",
    "Progress",
    "TextEmbeddingConfig",
    "TfidfSvdConfig",
]
