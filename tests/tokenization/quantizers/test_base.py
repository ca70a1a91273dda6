"""Vectors before they are quantized, and a quantizer's files."""

import json

import numpy as np
import pytest

from beamwise.tokenization.quantizers import QUANTIZERS
from beamwise.tokenization.quantizers.base import (
    QuantizerConfig,
    checked_for_fit,
    no_progress,
    prepared,
    read_quantizer,
    write_quantizer,
)


def test_prepared_scales_to_length_one_and_leaves_the_argument():
    vectors = np.array([[3, 4], [0, 0], [1e-30, 0], [1e30, 0]], np.float32)
    before = vectors.copy()
    scaled = prepared(vectors, normalize=True)
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0, 0], [1, 0], [1, 0]], rtol=1e-6)
    plain = prepared(vectors, normalize=False)
    plain[0] = 9
    np.testing.assert_array_equal(vectors, before)


def test_the_item_that_is_not_finite_is_named_across_blocks(monkeypatch):
    monkeypatch.setattr("beamwise.tokenization.quantizers.residual_codebooks.BLOCK_ELEMENTS", 4)
    vectors = np.zeros((9, 2), np.float32)
    vectors[5, 1] = np.inf
    with pytest.raises(ValueError, match="item 5 has a value that is not finite"):
        checked_for_fit(vectors, normalize=True)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing_to_fit(shape):
    with pytest.raises(ValueError, match=r"need vectors \(items >= 1, dim >= 1\) to fit"):
        checked_for_fit(np.zeros(shape, np.float32), normalize=True)


def test_files_come_back_and_leave_nothing_unfinished(tmp_path):
    config = QuantizerConfig(num_levels=2, codebook_size=3)
    sizes = {"name": "x", "num_levels": 2, "codebook_size": 3, "normalize": True}
    write_quantizer(tmp_path / "new", {"a": np.arange(6.0).reshape(2, 3).T}, sizes)
    tensors, found = read_quantizer(tmp_path / "new", config, "x")
    np.testing.assert_array_equal(tensors["a"], np.arange(6.0).reshape(2, 3).T)
    assert found == sizes == json.loads((tmp_path / "new" / "quantizer.json").read_text())
    assert len(list((tmp_path / "new").iterdir())) == 2
    with pytest.raises(ValueError, match="has name 'x', the settings 'y'"):
        read_quantizer(tmp_path / "new", config, "y")


def test_no_progress_says_nothing(capsys):
    no_progress(1, 2)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("num_items", "size"),
    [  # the largest power of two with 8 items a code, within 16..256
        (1, 16), (5, 16), (127, 16), (128, 16), (255, 16), (256, 32), (1120, 128), (2047, 128),
        (2048, 256), (10**6, 256),
    ],
)  # fmt: skip
def test_codebook_size_for_golden(num_items, size):
    assert QuantizerConfig().codebook_size_for(num_items) == size
    for given in (1, 3, 1000):
        assert QuantizerConfig(codebook_size=given).codebook_size_for(num_items) == given


@pytest.mark.parametrize("name", ["rq-kmeans", "rq-vae"])
def test_a_size_that_was_not_given_comes_back(name, tmp_path):
    method = QUANTIZERS[name]
    config = method.config(num_levels=2)
    if name == "rq-vae":
        config = config.model_copy(update={"epochs": 1, "hidden_dims": (4,), "latent_dim": 2})
    vectors = np.random.default_rng(0).standard_normal((300, 6)).astype(np.float32)
    fitted, codes = method.fit(config, vectors, no_progress)
    assert fitted.codebook_size == 32
    assert codes.max() < 32
    fitted.save(tmp_path)
    assert json.loads((tmp_path / "quantizer.json").read_text())["codebook_size"] == 32
    loaded = method.load(config, tmp_path)
    assert loaded.codebook_size == 32
    np.testing.assert_array_equal(loaded.encode(vectors), fitted.encode(vectors))
    with pytest.raises(ValueError, match="has codebook_size 32, the settings 64"):
        method.load(config.model_copy(update={"codebook_size": 64}), tmp_path)
