"""The residual-quantized autoencoder while it learns: modules, loss, k-means start, revival."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn

from beamwise.tokenization.quantizers.residual_codebooks import (
    ResidualCodebooks,
    kmeans,
    nearest,
    subtract,
)

KMEANS_ITERATIONS = 10
"""Rounds of the k-means that starts a codebook; training moves it on."""


class Quantized(NamedTuple):
    """What every level met and chose."""

    codes: Int64[Tensor, "batch levels"]
    residuals: Float[Tensor, "batch levels latent"]
    chosen: Float[Tensor, "batch levels latent"]


def quantize(
    latents: Float[Tensor, "batch latent"],
    codebooks: Float[Tensor, "levels codebook_size latent"],
    num_codes: Sequence[int],
) -> Quantized:
    """The nearest code of every level: r_0 = z, c_l = argmin |r_l - e_c|^2, r_{l+1} = r_l - sg[e].

    Residuals carry gradient to the latents only; `chosen` carries it to the codebooks.

    Args:
        latents: z.
        codebooks: e, of all levels.
        num_codes: Codes of each level that exist, the lowest ones.
    """
    codes, residuals, chosen = [], [latents], []
    for codebook, count in zip(codebooks, num_codes, strict=True):
        existing = codebook[:count]
        with torch.no_grad():
            code = (existing.square().sum(1) - 2 * residuals[-1] @ existing.T).argmin(1)
        codes.append(code)
        chosen.append(existing[code])
        residuals.append(residuals[-1] - chosen[-1].detach())
    return Quantized(torch.stack(codes, 1), torch.stack(residuals[:-1], 1), torch.stack(chosen, 1))


def straight_through(
    latents: Float[Tensor, "batch latent"], chosen: Float[Tensor, "batch levels latent"]
) -> Float[Tensor, "batch latent"]:
    """The sum of the chosen codes in value, with the gradient of the latents."""
    return latents + (chosen.sum(1) - latents).detach()


def rq_vae_loss(
    vectors: Float[Tensor, "batch dim"],
    reconstructed: Float[Tensor, "batch dim"],
    residuals: Float[Tensor, "batch levels latent"],
    chosen: Float[Tensor, "batch levels latent"],
    *,
    commitment_weight: float,
) -> Float[Tensor, " batch"]:
    """Reconstruction, codebook and commitment loss (arXiv:2305.05065, section 3.1).

    With sg the identity without gradient:

        loss = |x - x'|^2 + sum_l |sg[r_l] - e_l|^2 + beta |r_l - sg[e_l]|^2

    Args:
        vectors: x.
        reconstructed: x', decoded from the codes.
        residuals: r_l.
        chosen: e_l, the code of level l.
        commitment_weight: beta.

    Returns:
        Loss per vector; the caller averages.
    """
    reconstruction = (vectors - reconstructed).square().sum(1)
    codebook = (residuals.detach() - chosen).square().sum((1, 2))
    commitment = (residuals - chosen.detach()).square().sum((1, 2))
    return reconstruction + codebook + commitment_weight * commitment


def perceptron(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of these sizes with ReLU between them."""
    layers: list[nn.Module] = []
    for index in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[index], sizes[index + 1]), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """Encoder, residual codebooks and decoder."""

    def __init__(
        self, sizes: Sequence[int], num_levels: int, codebook_size: int, commitment_weight: float
    ) -> None:
        super().__init__()
        self.encoder = perceptron(sizes)
        self.decoder = perceptron(list(reversed(sizes)))
        self.codebooks = nn.Parameter(torch.zeros(num_levels, codebook_size, sizes[-1]))
        self.num_codes = [1] * num_levels
        """Codes of each level that exist; `start_codebooks` finds them."""
        self.commitment_weight = commitment_weight

    def forward(
        self, vectors: Float[Tensor, "batch dim"]
    ) -> tuple[Float[Tensor, " batch"], Int64[Tensor, "batch levels"]]:
        """Loss per vector, and its codes."""
        latents = self.encoder(vectors)
        codes, residuals, chosen = quantize(latents, self.codebooks, self.num_codes)
        reconstructed = self.decoder(straight_through(latents, chosen))
        loss = rq_vae_loss(
            vectors, reconstructed, residuals, chosen, commitment_weight=self.commitment_weight
        )
        return loss, codes

    @torch.no_grad()
    def start_codebooks(
        self, vectors: Float[Tensor, "items dim"], random: np.random.Generator
    ) -> None:
        """Make every codebook the k-means centroids of what the levels before it leave."""
        residuals = self.encoder(vectors).numpy()
        for level, codebook in enumerate(self.codebooks):
            centroids = kmeans(residuals, len(codebook), KMEANS_ITERATIONS, len(residuals), random)
            self.num_codes[level] = len(centroids)
            codebook[: len(centroids)] = torch.from_numpy(centroids)
            subtract(residuals, centroids, nearest(residuals, centroids))

    @torch.no_grad()
    def revive(
        self,
        used: Bool[np.ndarray, "levels codebook_size"],
        vectors: Float[Tensor, "items dim"],
        random: np.random.Generator,
    ) -> int:
        """Put codes that no item used onto residuals of random items; returns how many."""
        revived = 0
        residuals = self.encoder(vectors).numpy()
        for level, count in enumerate(self.num_codes):
            dead = np.flatnonzero(~used[level, :count])
            if len(dead):
                rows = random.integers(len(residuals), size=len(dead))
                self.codebooks[level, torch.from_numpy(dead)] = torch.from_numpy(residuals[rows])
            centroids = self.codebooks[level, :count].numpy()
            subtract(residuals, centroids, nearest(residuals, centroids))
            revived += len(dead)
        return revived

    def residual_codebooks(self) -> ResidualCodebooks:
        """The codebooks as they are now."""
        return ResidualCodebooks(self.codebooks.detach().numpy().copy(), tuple(self.num_codes))


def used_codes(
    codes: Int64[Tensor, "items levels"], codebook_size: int
) -> Bool[np.ndarray, "levels codebook_size"]:
    """Whether any item has a code."""
    used = np.zeros((codes.shape[1], codebook_size), bool)
    for level, column in enumerate(codes.numpy().T):
        used[level, column] = True
    return used


@torch.no_grad()
def latents_of(
    encoder: nn.Module, vectors: Float32[np.ndarray, "items dim"], batch_size: int
) -> Float32[np.ndarray, "items latent"]:
    """The encoder's outputs, a batch at a time."""
    batches = torch.from_numpy(vectors).split(batch_size)
    return torch.cat([encoder(batch) for batch in batches]).numpy()
