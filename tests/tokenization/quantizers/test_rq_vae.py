"""Fitting an RQ-VAE: the loss falls, structure is found, settings are kept."""

import numpy as np
import pytest
import torch

from beamwise.tokenization.quantizers import rq_vae
from beamwise.tokenization.quantizers.rq_vae import RQVAEConfig, fit_rq_vae, load_rq_vae

QUICK = RQVAEConfig(
    num_levels=2, codebook_size=16, hidden_dims=(32,), latent_dim=4, epochs=20, batch_size=64
)


def planted(num_items=300, seed=0):
    """Items around 6 directions in 12 dimensions."""
    random = np.random.default_rng(seed)
    centers = random.standard_normal((6, 12))
    labels = random.integers(0, 6, num_items)
    noise = 0.3 * random.standard_normal((num_items, 12))
    return (centers[labels] + noise).astype(np.float32), labels


def test_the_loss_falls(monkeypatch):
    losses = []
    step = rq_vae._step

    def recorded(model, optimizer, batch):
        losses.append(float(model(batch)[0].mean().detach()))
        return step(model, optimizer, batch)

    monkeypatch.setattr(rq_vae, "_step", recorded)
    fit_rq_vae(QUICK, planted()[0])
    assert np.mean(losses[-5:]) < 0.4 * np.mean(losses[:5])


def test_more_of_the_planted_structure_is_found_than_by_chance():
    vectors, labels = planted()
    codes = fit_rq_vae(QUICK, vectors)[1][:, 0]
    same_code = codes[:, None] == codes
    same_label = labels[:, None] == labels
    np.fill_diagonal(same_code, False)
    assert same_label[same_code].mean() > 0.9  # by chance one in six


def test_global_random_numbers_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit_rq_vae(QUICK.model_copy(update={"epochs": 1}), planted()[0])
    torch.testing.assert_close(torch.rand(3), expected)


def test_codes_in_use_are_kept_up_by_revival(monkeypatch):
    vectors = planted()[0]
    config = QUICK.model_copy(update={"codebook_size": 64})

    def num_used():
        return sum(len(np.unique(column)) for column in fit_rq_vae(config, vectors)[1].T)

    with_revival = num_used()
    monkeypatch.setattr(rq_vae.Autoencoder, "revive", lambda *_: 0)
    assert with_revival > num_used()


def test_balanced_codes_are_means_of_their_latents():
    vectors = planted()[0]
    config = QUICK.model_copy(update={"balanced": True, "epochs": 3})
    quantizer, codes = fit_rq_vae(config, vectors)
    latents = quantizer._latents(vectors)
    assert np.bincount(codes[:, 0]).max() <= 19  # ceil(300 / 16)
    for code in np.unique(codes[:, 0]):
        mean = latents[codes[:, 0] == code].mean(0)
        np.testing.assert_allclose(
            quantizer.codebooks.centroids[0, code], mean, rtol=1e-3, atol=1e-5
        )


def test_a_loss_that_is_not_finite_is_refused():
    config = QUICK.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ValueError, match="loss of rq-vae is not finite: lower its learning_rate"):
        fit_rq_vae(config, planted()[0])


def test_layers_of_other_settings_are_refused(tmp_path):
    quantizer, _ = fit_rq_vae(QUICK.model_copy(update={"epochs": 1}), planted()[0])
    quantizer.save(tmp_path)
    for change in ({"hidden_dims": (31,)}, {"hidden_dims": (32, 8)}, {"latent_dim": 5}):
        with pytest.raises(ValueError, match=r"has not the layers \[12, .* of the settings: use"):
            load_rq_vae(QUICK.model_copy(update=change), tmp_path)


def test_no_hidden_layer():
    config = QUICK.model_copy(update={"hidden_dims": (), "epochs": 1})
    quantizer, codes = fit_rq_vae(config, planted()[0])
    np.testing.assert_array_equal(quantizer.encode(planted()[0]), codes)
