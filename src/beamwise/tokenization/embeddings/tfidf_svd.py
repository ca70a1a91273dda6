"""Embedding `tfidf-svd`: word counts, weighted and reduced; needs no weights and fits in seconds.

Latent semantic analysis (Deerwester et al. 1990): terms that occur in the same texts share a
direction, so items can be close that have no word in common.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from jaxtyping import Float, Float32
from pydantic import Field, NonNegativeInt, PositiveInt

from beamwise.tokenization.embeddings.base import Progress, TextEmbeddingConfig, unit_rows
from beamwise.tokenization.embeddings.state import load_state, save_state
from beamwise.tokenization.item_texts import check_missing

ITEMS_AT_ONCE = 10_000
POWER_ITERATIONS = 7
"""Of the randomised decomposition (Halko et al. 2011); as scikit-learn takes for few components."""

UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Japanese and Chinese characters: written without spaces, so each is a word."""
MARKED = "\u0300-\u036f\u0900-\u0dff\u1000-\u109f\u1780-\u17ff"
"""Scripts whose words hold combining marks, which `\\w` leaves out."""
WORDS = re.compile(f"[{UNSPACED}]|(?:[^\\W{UNSPACED}]|[{MARKED}])+")


class TfidfSvdConfig(TextEmbeddingConfig):
    """Words weighted by tf-idf and reduced by a truncated SVD; vectors have length 1."""

    name: Literal["tfidf-svd"] = "tfidf-svd"
    dim: PositiveInt = 128
    """Numbers in a vector at most; fewer where the texts have fewer independent directions."""
    min_df: PositiveInt = 1
    """Items that a term must stand in to count."""
    max_features: PositiveInt = 50_000
    """Terms that count at most: the most frequent."""
    sublinear_tf: bool = True
    """Whether a term that stands n times in a text weighs 1 + ln n, not n."""
    max_ngram: PositiveInt = Field(default=1, le=5)
    """Longest run of words that is a term; memory grows with the number of different runs."""
    seed: NonNegativeInt = Field(default=0, lt=2**32)
    """Of the randomised decomposition."""


class TfidfSvdEmbedding:
    """A fitted vocabulary, its weights, and the directions that texts are projected on."""

    def __init__(
        self,
        config: TfidfSvdConfig,
        terms: Sequence[str],
        idf: Float[np.ndarray, " terms"],
        components: Float32[np.ndarray, "dim terms"],
    ) -> None:
        self.config = config
        self.terms = list(terms)
        self.idf = idf
        self.components = components
        self._vectorizer = _vectorizer(config, self.terms)
        self._vectorizer.idf_ = idf

    def embed(
        self, items: pl.DataFrame, progress: Progress | None = None
    ) -> Float32[np.ndarray, "items dim"]:
        """The vectors of `items`, of length 1, or 0 for an item without a known term.

        Raises:
            ValueError: If an item has no text or no term that the fit knew, and `missing` is
                "refuse".
        """
        texts = self.config.texts(items)
        vectors = np.zeros((len(texts), len(self.components)), dtype=np.float32)
        has_terms = np.zeros(len(texts), dtype=bool)
        for start in range(0, len(texts), ITEMS_AT_ONCE):
            chunk = slice(start, start + ITEMS_AT_ONCE)
            weights = self._vectorizer.transform(texts[chunk].to_list())
            vectors[chunk] = unit_rows(weights @ self.components.T)
            has_terms[chunk] = np.diff(weights.indptr) > 0
            if progress is not None:
                progress(min(chunk.stop, len(texts)), len(texts))
        what = "has no word that the embedding knows"
        fix = "tell more of it in other words, tokenize all items anew with this one among them"
        check_missing(items["item_id"], ~has_terms, self.config.missing, what, fix)
        return vectors

    def save(self, folder: Path) -> None:
        """Write the vocabulary as JSON and the arrays as safetensors."""
        arrays = {"idf": self.idf, "components": self.components}
        save_state(folder, self.config, {"terms": self.terms}, arrays)


def fit_tfidf_svd(
    config: TfidfSvdConfig, items: pl.DataFrame, progress: Progress | None = None
) -> TfidfSvdEmbedding:
    """Fit vocabulary, weights and directions on the items' texts.

    The same texts give the same bits, whatever the number of threads.

    Args:
        config: Settings.
        items: The item table.
        progress: Told how many texts are read; the decomposition follows the last.

    Raises:
        ValueError: If an item has no text and `missing` is "refuse", or no term is frequent enough.
    """
    texts = config.texts(items)
    vectorizer = _vectorizer(config)
    try:
        weights = vectorizer.fit_transform(_told(texts, progress))
    except ValueError:  # all that scikit-learn can refuse in texts that are strings
        raise ValueError(
            f"no word stands in at least {config.min_df} of the texts of {len(texts):,} items: "
            "lower embedding.min_df, or give the items titles"
        ) from None
    components = _directions(weights, config.dim, config.seed)
    terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    return TfidfSvdEmbedding(config, terms, vectorizer.idf_, components)


def load_tfidf_svd(config: TfidfSvdConfig, folder: Path) -> TfidfSvdEmbedding:
    """Read what `TfidfSvdEmbedding.save` wrote.

    Raises:
        ValueError: If it is missing or damaged, or was fitted with other settings.
    """
    facts, arrays = load_state(folder, config)
    return TfidfSvdEmbedding(config, facts["terms"], arrays["idf"], arrays["components"])


def normal_form(text: str) -> str:
    """The text with one form for letters that look or sound the same (NFKC, without case)."""
    return unicodedata.normalize("NFKC", text).casefold()


def _vectorizer(config: TfidfSvdConfig, terms: Sequence[str] | None = None) -> Any:
    """A `TfidfVectorizer`, of these terms where they are known."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # takes over a second to import

    vectorizer: Any = TfidfVectorizer  # whose annotations are narrower than what it takes
    return vectorizer(
        preprocessor=normal_form,
        tokenizer=WORDS.findall,
        token_pattern=None,
        ngram_range=(1, config.max_ngram),
        min_df=config.min_df,
        max_features=config.max_features,
        sublinear_tf=config.sublinear_tf,
        dtype=np.float32,
        vocabulary=None if terms is None else {term: i for i, term in enumerate(terms)},
    )


def _told(texts: pl.Series, progress: Progress | None) -> Iterator[str]:
    """The texts one by one, telling how many were taken."""
    for taken, text in enumerate(texts, start=1):
        yield text
        if progress is not None and (taken % ITEMS_AT_ONCE == 0 or taken == len(texts)):
            progress(taken, len(texts))


def _directions(weights: Any, dim: int, seed: int) -> Float32[np.ndarray, "dim terms"]:
    """The right singular vectors of the largest singular values, those that are 0 left out."""
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    iterations: Any = POWER_ITERATIONS  # annotated as text
    with threadpool_limits(limits=1):  # sums in another order give other bits
        _, values, directions = randomized_svd(
            weights, min(dim, *weights.shape), n_iter=iterations, random_state=seed
        )
    rounding = max(weights.shape) * np.finfo(np.float32).eps
    return np.ascontiguousarray(directions[values > rounding * values[0]], dtype=np.float32)
