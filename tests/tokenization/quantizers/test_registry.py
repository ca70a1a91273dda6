"""Quantizers by name, and their settings."""

from typing import get_args

import numpy as np
import pytest

from beamwise.config import Config, ConfigError, parse_config
from beamwise.tokenization.quantizers import (
    QUANTIZERS,
    AnyQuantizerConfig,
    Quantizer,
    RQKMeansConfig,
    RQVAEConfig,
)


class Settings(Config):
    """What a tokenizer holds of a quantizer."""

    quantizer: AnyQuantizerConfig = RQKMeansConfig()


QUICK = {
    "rq-kmeans": RQKMeansConfig(num_levels=3, codebook_size=8),
    "rq-vae": RQVAEConfig(
        num_levels=3, codebook_size=8, hidden_dims=(16,), latent_dim=4, epochs=3, batch_size=32
    ),
}


def vectors(num_items=60, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((num_items, 6)).astype(np.float32)


def test_names_agree_with_configs_and_the_union_holds_them_all():
    assert set(QUANTIZERS) == {"rq-kmeans", "rq-vae"} == set(QUICK)
    for name, method in QUANTIZERS.items():
        assert method.config.model_fields["name"].default == name
    union = get_args(AnyQuantizerConfig)[0]
    assert set(get_args(union)) == {method.config for method in QUANTIZERS.values()}


def test_a_name_chooses_the_settings():
    settings = parse_config(Settings, {"quantizer": {"name": "rq-vae", "epochs": 7}}, "test")
    assert settings.quantizer == RQVAEConfig(epochs=7)
    with pytest.raises(ConfigError, match="choose one of rq-kmeans, rq-vae"):
        parse_config(Settings, {"quantizer": {"name": "rq"}}, "test")
    with pytest.raises(ConfigError, match="did you mean 'codebook_size'"):
        parse_config(Settings, {"quantizer": {"codebook_sizes": 2}}, "test")


@pytest.mark.parametrize("name", QUANTIZERS)
@pytest.mark.parametrize("balanced", [False, True])
def test_fit_save_load_encode(name, balanced, tmp_path):
    config = QUICK[name].model_copy(update={"balanced": balanced})
    told = []
    quantizer, codes = QUANTIZERS[name].fit(config, vectors(), lambda *now: told.append(now))
    assert isinstance(quantizer, Quantizer)
    assert (quantizer.num_levels, quantizer.codebook_size) == (3, 8)
    assert told == [(done, 3) for done in (1, 2, 3)]
    quantizer.save(tmp_path)
    loaded = QUANTIZERS[name].load(config, tmp_path)
    later = vectors(40, seed=1)
    np.testing.assert_array_equal(loaded.encode(later), quantizer.encode(later))
    if balanced:
        assert all(np.bincount(column).max() <= 8 for column in codes.T)  # ceil(60 / 8)
    else:
        np.testing.assert_array_equal(loaded.encode(vectors()), codes)
    distances = quantizer.last_level_distances(later, quantizer.encode(later))
    np.testing.assert_array_equal(distances.argmin(1), quantizer.encode(later)[:, -1])
    np.testing.assert_array_equal(
        loaded.last_level_distances(later, loaded.encode(later)), distances
    )


@pytest.mark.parametrize("name", QUANTIZERS)
def test_the_seed_decides(name):
    fit = QUANTIZERS[name].fit
    codes = fit(QUICK[name], vectors(), lambda *_: None)[1]
    np.testing.assert_array_equal(codes, fit(QUICK[name], vectors(), lambda *_: None)[1])
    other = QUICK[name].model_copy(update={"seed": 1})
    assert (codes != fit(other, vectors(), lambda *_: None)[1]).any()


@pytest.mark.parametrize("name", QUANTIZERS)
@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("num_items", [1, 3])
def test_few_items(name, balanced, num_items, capfd):
    config = QUICK[name].model_copy(update={"balanced": balanced})
    given = vectors(num_items)
    quantizer, codes = QUANTIZERS[name].fit(config, given, lambda *_: None)
    assert codes.shape == (num_items, 3)
    assert len(np.unique(codes, axis=0)) == num_items
    distances = quantizer.last_level_distances(given, codes)
    assert np.isinf(distances[:, num_items:]).all()
    assert np.isfinite(distances[:, 0]).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", QUANTIZERS)
def test_equal_vectors_share_one_code_a_level(name):
    same = np.repeat(vectors(1), 5, 0)
    quantizer, codes = QUANTIZERS[name].fit(QUICK[name], same, lambda *_: None)
    np.testing.assert_array_equal(codes, np.zeros((5, 3)))
    assert np.isfinite(quantizer.last_level_distances(same, codes)).sum() == 5


@pytest.mark.parametrize("name", QUANTIZERS)
def test_bad_vectors_are_refused(name):
    method, config = QUANTIZERS[name], QUICK[name]
    with pytest.raises(ValueError, match=r"need vectors .* got \(0, 6\)"):
        method.fit(config, vectors(0), lambda *_: None)
    bad = vectors()
    bad[7, 2] = np.nan
    with pytest.raises(ValueError, match="vector of item 7 has a value that is not finite"):
        method.fit(config, bad, lambda *_: None)
    quantizer, codes = method.fit(config, vectors(), lambda *_: None)
    with pytest.raises(ValueError, match="vectors have 5 numbers, the quantizer was fitted on 6"):
        quantizer.encode(vectors()[:, :5])
    with pytest.raises(ValueError, match="vectors have 5 numbers"):
        quantizer.last_level_distances(vectors()[:, :5], codes)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_other_settings_or_damaged_files_are_refused(name, tmp_path):
    method, config = QUANTIZERS[name], QUICK[name]
    with pytest.raises(ValueError, match=r"no quantizer at .*quantizer.safetensors"):
        method.load(config, tmp_path)
    method.fit(config, vectors(), lambda *_: None)[0].save(tmp_path)
    with pytest.raises(ValueError, match=r"has num_levels 3, the settings 4: use the settings"):
        method.load(config.model_copy(update={"num_levels": 4}), tmp_path)
    sizes = tmp_path / "quantizer.json"
    text = sizes.read_text()
    sizes.write_text(text.replace('"num_codes": [', '"num_codes": [900, '))
    with pytest.raises(ValueError, match="do not fit one another"):
        method.load(config, tmp_path)
    sizes.write_text(text[:-9])
    with pytest.raises(ValueError, match="damaged"):
        method.load(config, tmp_path)
    sizes.write_text("[]")
    with pytest.raises(ValueError, match="has name None"):
        method.load(config, tmp_path)
    sizes.write_text(text)
    tensors = tmp_path / "quantizer.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-5])
    with pytest.raises(ValueError, match="damaged"):
        method.load(config, tmp_path)


def test_lengths_do_not_matter_where_normalized():
    given = vectors()
    scaled = given * np.linspace(0.1, 9, len(given), dtype=np.float32)[:, None]
    config = QUICK["rq-kmeans"]
    fit = QUANTIZERS["rq-kmeans"].fit
    quantizer, codes = fit(config, given, lambda *_: None)
    np.testing.assert_array_equal(quantizer.encode(scaled), codes)
    plain = config.model_copy(update={"normalize": False})
    quantizer, codes = fit(plain, given, lambda *_: None)
    assert (quantizer.encode(scaled) != codes).any()
