"""The autoencoder while it learns: loss and gradient against loops, dead codes, the start."""

import numpy as np
import pytest
import torch

from beamwise.tokenization.quantizers.rq_vae_training import (
    Autoencoder,
    latents_of,
    perceptron,
    quantize,
    rq_vae_loss,
    straight_through,
    used_codes,
)

F64 = torch.float64


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def clusters(num_items=200, seed=0):
    random = np.random.default_rng(seed)
    centers = random.standard_normal((5, 6))
    planted = random.integers(0, 5, num_items)
    vectors = centers[planted] + 0.1 * random.standard_normal((num_items, 6))
    return torch.from_numpy(vectors.astype(np.float32)), planted


def model_of(num_levels=2, codebook_size=8):
    torch.manual_seed(0)
    return Autoencoder([6, 16, 3], num_levels, codebook_size, 0.25)


def test_loss_golden():
    # |x - x'|^2 = 1 + 4; level 0: |3 - 1|^2 = 4, level 1: |2 - 2.5|^2 = 0.25; beta 0.5 adds half.
    loss = rq_vae_loss(
        torch.tensor([[1.0, 2.0]]),
        torch.tensor([[0.0, 4.0]]),
        torch.tensor([[[3.0], [2.0]]]),
        torch.tensor([[[1.0], [2.5]]]),
        commitment_weight=0.5,
    )
    torch.testing.assert_close(loss, torch.tensor([5 + 4.25 + 2.125]))


def test_loss_and_gradients_are_the_naive_ones():
    vectors, made = randn(3, 4), randn(3, 4, seed=1)
    residuals, chosen = randn(3, 2, 5, seed=2), randn(3, 2, 5, seed=3)
    expected = []
    for b in range(3):
        value = sum((float(vectors[b, d]) - float(made[b, d])) ** 2 for d in range(4))
        for level in range(2):
            for d in range(5):
                gap = float(residuals[b, level, d]) - float(chosen[b, level, d])
                value += 1.25 * gap**2
        expected.append(value)
    for tensor in (made, residuals, chosen):
        tensor.requires_grad_()
    loss = rq_vae_loss(vectors, made, residuals, chosen, commitment_weight=0.25)
    torch.testing.assert_close(loss, torch.tensor(expected, dtype=F64))
    loss.sum().backward()
    gap = (residuals - chosen).detach()
    torch.testing.assert_close(residuals.grad, 0.25 * 2 * gap)  # commitment alone
    torch.testing.assert_close(chosen.grad, -2 * gap)  # the codebook loss alone
    torch.testing.assert_close(made.grad, 2 * (made - vectors).detach())


def test_straight_through_has_the_value_of_codes_and_the_gradient_of_latents():
    latents, chosen = randn(3, 5).requires_grad_(), randn(3, 2, 5, seed=1).requires_grad_()
    passed = straight_through(latents, chosen)
    torch.testing.assert_close(passed, chosen.sum(1))
    weights = randn(3, 5, seed=2)
    (passed * weights).sum().backward()
    torch.testing.assert_close(latents.grad, weights)
    assert chosen.grad is None


def test_quantize_is_the_naive_one_and_ignores_codes_that_do_not_exist():
    latents, codebooks = randn(20, 3).requires_grad_(), randn(2, 6, 3, seed=1)
    latents.data[0] = codebooks[0, 5]  # exactly a code that does not exist
    codebooks.requires_grad_()
    codes, residuals, chosen = quantize(latents, codebooks, (4, 6))
    for row in range(20):
        rest = latents[row].detach()
        for level, count in enumerate((4, 6)):
            torch.testing.assert_close(residuals[row, level].detach(), rest)
            code = int((rest - codebooks[level, :count].detach()).square().sum(1).argmin())
            assert code == int(codes[row, level])
            torch.testing.assert_close(chosen[row, level], codebooks[level, code])
            rest = rest - codebooks[level, code].detach()
    residuals.sum().backward(retain_graph=True)
    torch.testing.assert_close(latents.grad, torch.full_like(latents, 2.0))  # once a level
    assert codebooks.grad is None
    chosen.sum().backward()
    counts = torch.bincount(codes[:, 0], minlength=6).to(F64)
    torch.testing.assert_close(codebooks.grad[0], counts[:, None].expand(6, 3))


def test_forward_is_the_loss_of_its_parts():
    vectors, _ = clusters(10)
    model = model_of()
    model.start_codebooks(vectors, np.random.default_rng(0))
    loss, codes = model(vectors)
    latents = model.encoder(vectors)
    expected_codes, residuals, chosen = quantize(latents, model.codebooks, model.num_codes)
    assert codes.tolist() == expected_codes.tolist()
    gap = (residuals - chosen).square().sum((1, 2))
    reconstruction = (vectors - model.decoder(chosen.sum(1))).square().sum(1)
    torch.testing.assert_close(loss, reconstruction + 1.25 * gap)
    loss.mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_codebooks_start_at_the_centroids_of_encoder_outputs():
    vectors, _ = clusters()
    model = model_of(codebook_size=16)
    model.start_codebooks(vectors, np.random.default_rng(0))
    latents = model.encoder(vectors).detach()
    _, residuals, chosen = quantize(latents, model.codebooks.detach(), model.num_codes)
    left = (residuals - chosen).square().sum((0, 2))
    spread = (latents - latents.mean(0)).square().sum()
    assert left[0] < 0.1 * spread
    assert left[1] < 0.5 * left[0]
    assert model.num_codes == [16, 16]


def test_few_vectors_have_as_few_codes():
    model = model_of()
    model.start_codebooks(clusters(3)[0], np.random.default_rng(0))
    assert model.num_codes == [3, 1]


def test_dead_codes_come_back_at_residuals_and_live_ones_stay():
    vectors, _ = clusters()
    model = model_of()
    model.start_codebooks(vectors, np.random.default_rng(0))
    with torch.no_grad():
        model.codebooks[0, 2:4] = 1e4
        model.codebooks[1, 5] = 1e4
    before = model.codebooks.detach().clone()
    used = used_codes(model(vectors)[1], 8)
    assert np.flatnonzero(~used[0]).tolist() == [2, 3]
    assert not used[1, 5]
    revived = model.revive(used, vectors, np.random.default_rng(1))
    assert revived == (~used).sum()
    after = model.codebooks.detach()
    live = torch.from_numpy(used)
    torch.testing.assert_close(after[live], before[live])
    latents = model.encoder(vectors).detach()
    gaps = torch.cdist(after[0, 2:4], latents)
    assert gaps.min(1).values.max() < 1e-3  # each lies on an item
    again = used_codes(model(vectors)[1], 8)
    assert again[0].all()
    assert again[1, 5]


def test_nothing_dead_changes_nothing():
    vectors, _ = clusters()
    model = model_of()
    model.start_codebooks(vectors, np.random.default_rng(0))
    before = model.codebooks.detach().clone()
    assert model.revive(np.ones((2, 8), bool), vectors, np.random.default_rng(1)) == 0
    torch.testing.assert_close(model.codebooks.detach(), before)


def test_used_codes():
    codes = torch.tensor([[0, 2], [1, 2], [0, 2]])
    assert used_codes(codes, 3).tolist() == [[True, True, False], [False, False, True]]


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_latents_come_in_batches(batch_size):
    vectors, _ = clusters(20)
    encoder = perceptron([6, 4, 2])
    latents = latents_of(encoder, vectors.numpy(), batch_size)
    np.testing.assert_allclose(latents, encoder(vectors).detach().numpy(), rtol=1e-4, atol=1e-6)


def test_perceptron_ends_with_a_linear_layer():
    layers = list(perceptron([6, 4, 2]))
    assert [type(layer).__name__ for layer in layers] == ["Linear", "ReLU", "Linear"]
    assert layers[-1].weight.shape == (2, 4)
