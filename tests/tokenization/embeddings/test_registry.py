"""The registry of embeddings."""

from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from beamwise.tokenization.embeddings import EMBEDDINGS, AnyEmbeddingConfig, TfidfSvdConfig


def test_names_agree_with_configs():
    assert list(EMBEDDINGS) == ["tfidf-svd", "minilm", "huggingface", "co-occurrence", "file"]
    for name, method in EMBEDDINGS.items():
        assert method.config.model_fields["name"].default == name


def test_the_union_holds_every_embedding():
    union = get_args(AnyEmbeddingConfig)[0]
    assert set(get_args(union)) == {method.config for method in EMBEDDINGS.values()}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_settings_marked_as_free_are_settings(name):
    config = EMBEDDINGS[name].config
    assert set(config.model_fields) >= config.FREE_LATER | config.ONLY_SPEED


def test_a_name_chooses_the_embedding():
    adapter = TypeAdapter(AnyEmbeddingConfig)
    assert adapter.validate_python({"name": "tfidf-svd", "dim": 3}) == TfidfSvdConfig(dim=3)
    with pytest.raises(ValidationError):
        adapter.validate_python({"name": "word-counts"})
