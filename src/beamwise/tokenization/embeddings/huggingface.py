"""Embedding `huggingface`: the mean of a pretrained text model's hidden states."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from jaxtyping import Float32
from pydantic import Field, PositiveInt

from beamwise.tokenization.embeddings.base import Progress, TextEmbeddingConfig, unit_rows
from beamwise.tokenization.embeddings.fingerprint import folder_fingerprint, text_fingerprint
from beamwise.tokenization.embeddings.state import load_state, save_state
from beamwise.tokenization.embeddings.text_encoder import Encoder, encode, open_encoder
from beamwise.tokenization.item_texts import check_missing


class TransformerConfig(TextEmbeddingConfig):
    """Settings of every pretrained text model."""

    ONLY_SPEED: ClassVar[frozenset[str]] = frozenset({"batch_size", "device"})

    max_tokens: PositiveInt = 512
    """Tokens kept of each text, special ones counted; at most what the model can read."""
    batch_size: PositiveInt = 16
    """Texts computed together."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|xpu|cuda(:\d+)?)$")
    """`auto` takes the accelerator where there is one, else the CPU."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the model's weights and products; the mean is always taken in fp32."""


class HuggingFaceConfig(TransformerConfig):
    """Any text model of the Hugging Face hub or of a folder; needs the extra `text`."""

    name: Literal["huggingface"] = "huggingface"
    model: str
    """Name on the hub, as in meta-llama/Llama-3.1-8B-Instruct, or a folder with the model and its
    tokenizer."""
    revision: str | None = None
    """Branch, tag or commit on the hub; the newest where null."""
    normalize: bool = True
    """Whether vectors are scaled to length 1."""


class TransformerEmbedding:
    """A pretrained model's mean over the tokens of a text; the model loads with the first text."""

    def __init__(
        self, config: TransformerConfig, model: str, revision: str | None, *, normalize: bool
    ) -> None:
        self.config = config
        self.model = model
        self.revision = revision
        self.normalize = normalize
        self._encoder: Encoder | None = None

    def embed(
        self, items: pl.DataFrame, progress: Progress | None = None
    ) -> Float32[np.ndarray, "items dim"]:
        """The vectors of `items`; zeros for an item without text.

        Batches hold texts of like length, the longest first, so that memory that does not suffice
        shows at once. What else is in its batch changes a vector by rounding only.

        Raises:
            ValueError: If the model cannot be loaded or reads fewer than `max_tokens` tokens, an
                item has no text and `missing` is "refuse", or the model gives no finite number.
        """
        texts = self.config.texts(items)
        if self._encoder is None:
            self._encoder = self._open()
        lengths = texts.str.len_bytes().to_numpy()
        rows = np.argsort(-lengths.astype(np.int64), kind="stable")[: int((lengths > 0).sum())]
        hidden_size = self._encoder.model.config.get_text_config().hidden_size
        vectors = np.zeros((len(texts), hidden_size), dtype=np.float32)
        for start in range(0, len(rows), self.config.batch_size):
            batch = rows[start : start + self.config.batch_size]
            vectors[batch] = encode(self._encoder, texts[batch].to_list(), self.config.max_tokens)
            if progress is not None:
                progress(start + len(batch), len(rows))
        self._check(items["item_id"], vectors)
        return unit_rows(vectors) if self.normalize else vectors

    def save(self, folder: Path) -> None:
        """Write the settings and which weights they mean; the weights stay where they are."""
        save_state(folder, self.config, {"weights": self._weights()}, {})

    def check_weights(self, fitted: str) -> None:
        """Refuse weights that are not those of the fit.

        Raises:
            ValueError: One line, if the model's folder holds other files.
        """
        if self._weights() != fitted:
            raise ValueError(
                f"the model in {self.model} is not the one that the items were embedded with: "
                "put its files back, or tokenize all items again"
            )

    def _open(self) -> Encoder:
        config = self.config
        encoder = open_encoder(self.model, self.revision, config.precision, config.device)
        encoder.check_max_tokens(config.max_tokens)
        return encoder

    def _weights(self) -> str:
        return weights_fingerprint(self.model, self.revision)

    def _check(self, item_ids: pl.Series, vectors: Float32[np.ndarray, "items dim"]) -> None:
        bad = ~np.isfinite(vectors).all(axis=1)
        if bad.any():
            raise ValueError(
                f"model {self.model} gives no finite vector for item "
                f"{item_ids[int(bad.argmax())]!r}: check its weights, or try another precision"
            )
        what = "has no token that the model knows"
        fix = "tell more of it in other words"
        check_missing(item_ids, (vectors == 0).all(axis=1), self.config.missing, what, fix)


def fit_huggingface(
    config: HuggingFaceConfig, _items: pl.DataFrame, _progress: Progress | None = None
) -> TransformerEmbedding:
    """The embedding of a pretrained model, which nothing is fitted to."""
    return TransformerEmbedding(config, config.model, config.revision, normalize=config.normalize)


def load_huggingface(config: HuggingFaceConfig, folder: Path) -> TransformerEmbedding:
    """Read what `TransformerEmbedding.save` wrote.

    Raises:
        ValueError: If it is missing or damaged, or settings or weights are not those of the fit.
    """
    facts, _ = load_state(folder, config)
    embedding = TransformerEmbedding(
        config, config.model, config.revision, normalize=config.normalize
    )
    embedding.check_weights(facts["weights"])
    return embedding


def huggingface_fingerprint(config: HuggingFaceConfig, items: pl.DataFrame) -> str:
    """A hash of the texts and of the model's files, or its name where it is no folder."""
    weights = weights_fingerprint(config.model, config.revision)
    return f"{text_fingerprint(config, items)} {weights}"


def weights_fingerprint(model: str, revision: str | None) -> str:
    """Which weights a name means: the content of a folder, else the name and revision."""
    if Path(model).is_dir():
        return folder_fingerprint(Path(model))
    return f"{model}@{revision or 'newest'}"
