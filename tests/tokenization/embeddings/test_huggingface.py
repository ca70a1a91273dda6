"""`huggingface`: batches in the items' order, blank items, and weights that must stay the same."""

import shutil

import numpy as np
import polars as pl
import pytest
import torch

from beamwise.tokenization.embeddings import EMBEDDINGS, Embedding, HuggingFaceConfig
from beamwise.tokenization.embeddings.huggingface import (
    fit_huggingface,
    huggingface_fingerprint,
    load_huggingface,
    weights_fingerprint,
)
from beamwise.tokenization.embeddings.text_encoder import encode, open_encoder

TITLES = ["pen", "red lamp on a desk", "blue pen", "desk", "red red red lamp"]


def table(*titles):
    ids = [f"item-{index}" for index in range(len(titles))]
    return pl.DataFrame({"item_id": ids, "title": pl.Series(titles, dtype=pl.String)})


def fitted(folder, **settings):
    config = HuggingFaceConfig(model=str(folder), max_tokens=16, **settings)
    return fit_huggingface(config, table(*TITLES))


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_vectors_stand_in_the_order_of_the_items(tiny_bert, batch_size):
    told = []
    embedding = fitted(tiny_bert, batch_size=batch_size, normalize=False)
    assert isinstance(embedding, Embedding)
    vectors = embedding.embed(table(*TITLES), lambda done, total: told.append((done, total)))
    encoder = open_encoder(str(tiny_bert), None, "fp32", "cpu")
    for title, vector in zip(TITLES, vectors, strict=True):
        np.testing.assert_allclose(vector, encode(encoder, [title], 16)[0], rtol=1e-5, atol=1e-6)
    steps = range(batch_size, 5 + batch_size, batch_size)
    assert told == [(min(5, step), 5) for step in steps]


def test_length_is_one_where_normalised(tiny_llama):
    raw = fitted(tiny_llama, normalize=False).embed(table(*TITLES))
    unit = fitted(tiny_llama).embed(table(*TITLES))
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1, atol=1e-3)
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, expected, rtol=1e-5)


def test_items_without_text_or_token(tiny_llama):
    with pytest.raises(ValueError, match="item 'item-1' has no text"):
        fitted(tiny_llama).embed(table("pen", None))
    with pytest.raises(ValueError, match="item 'item-0' has no token that the model knows"):
        fitted(tiny_llama).embed(table("!", "pen"))
    vectors = fitted(tiny_llama, missing="blank").embed(table("!", "pen", None))
    np.testing.assert_array_equal(vectors.any(axis=1), [False, True, False])
    assert fitted(tiny_llama, missing="blank").embed(table(None)).shape == (1, 8)


def test_too_many_tokens_are_refused(tiny_bert):
    config = HuggingFaceConfig(model=str(tiny_bert))
    with pytest.raises(ValueError, match=r"--set embedding.max_tokens=16"):
        fit_huggingface(config, table("pen")).embed(table("pen"))


def test_weights_that_give_no_number(tiny_bert, tmp_path):
    from transformers import BertModel

    folder = tmp_path / "broken"
    shutil.copytree(tiny_bert, folder)
    model = BertModel.from_pretrained(folder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[4] = torch.nan  # the word blue
    model.save_pretrained(folder)
    with pytest.raises(ValueError, match="no finite vector for item 'item-2': check its weights"):
        fitted(folder).embed(table(*TITLES))


def test_loaded_embeds_as_before(tiny_bert, tmp_path):
    embedding = fitted(tiny_bert)
    embedding.save(tmp_path)
    loaded = load_huggingface(embedding.config, tmp_path)
    faster = embedding.config.model_copy(update={"batch_size": 7, "missing": "blank"})
    new = table("blue desk", "lamp")
    np.testing.assert_array_equal(loaded.embed(new), embedding.embed(new))
    assert load_huggingface(faster, tmp_path).embed(new).shape == (2, 8)


def test_other_weights_under_the_same_path_are_refused(tiny_bert, tiny_llama, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_bert, folder)
    embedding = fitted(folder)
    embedding.save(tmp_path / "state")
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match="is not the one that the items were embedded with"):
        load_huggingface(embedding.config, tmp_path / "state")


def test_fingerprints_tell_weights_revisions_and_texts_apart(tiny_bert, tiny_llama):
    def of(model, title="pen", revision=None):
        config = HuggingFaceConfig(model=str(model), revision=revision)
        return huggingface_fingerprint(config, table(title))

    known = [of(tiny_bert), of(tiny_llama), of("a/b"), of("a/b", revision="v1"), of("a/b", "desk")]
    assert len(set(known)) == 5
    assert weights_fingerprint("a/b", None) == "a/b@newest"
    assert EMBEDDINGS["huggingface"].config is HuggingFaceConfig
