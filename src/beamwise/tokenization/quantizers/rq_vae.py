"""Quantizer `rq-vae`: residual codes in the latent space of an autoencoder, TIGER's tokenizer.

An encoder maps a vector x to a latent z, codebooks code z level by level (r_0 = z,
c_l = argmin_c |r_l - e[l, c]|^2, r_{l+1} = r_l - e[l, c_l]), and a decoder maps the sum of the
chosen codes back to x'. All learn together by `rq_vae_loss`. Rajput et al., "Recommender Systems
with Generative Retrieval" (arXiv:2305.05065); Lee et al., "Autoregressive Image Generation using
Residual Quantization" (arXiv:2203.01941).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int32, Integer
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from beamwise.tokenization.quantizers.balanced_assignment import balanced_means
from beamwise.tokenization.quantizers.base import (
    Progress,
    QuantizerConfig,
    checked_for_fit,
    no_progress,
    prepared,
    read_quantizer,
    write_quantizer,
)
from beamwise.tokenization.quantizers.residual_codebooks import ResidualCodebooks, subtract
from beamwise.tokenization.quantizers.rq_vae_training import (
    Autoencoder,
    latents_of,
    perceptron,
    used_codes,
)

ENCODE_BATCH = 4096
"""Vectors encoded at once."""
MOST_RESEEDING = 1 << 16
"""Items, drawn at random, that codebooks start from and dead codes come back to."""


class RQVAEConfig(QuantizerConfig):
    """The autoencoder; 2,420 vectors take well under two minutes of one core by default."""

    name: Literal["rq-vae"] = "rq-vae"
    hidden_dims: tuple[PositiveInt, ...] = (512, 256, 128)
    """Hidden layers of the encoder; the decoder has them in reverse."""
    latent_dim: PositiveInt = 32
    """Length of what is quantized."""
    commitment_weight: NonNegativeFloat = 0.25
    """beta: how strongly latents are drawn to their codes."""
    epochs: PositiveInt = 200
    """Passes over the items; a large catalog needs fewer."""
    batch_size: PositiveInt = 256
    """Items a step."""
    learning_rate: PositiveFloat = 1e-3
    """Of Adam."""


@dataclass(frozen=True, eq=False)
class RQVAE:
    """The encoder and the codebooks of its outputs."""

    encoder: nn.Sequential
    codebooks: ResidualCodebooks
    input_dim: int
    normalize: bool

    @property
    def num_levels(self) -> int:
        """Codes of an item."""
        return self.codebooks.num_levels

    @property
    def codebook_size(self) -> int:
        """Codes that a level may have."""
        return self.codebooks.codebook_size

    def encode(
        self, vectors: Float32[np.ndarray, "items dim"]
    ) -> Int32[np.ndarray, "items levels"]:
        """As `Quantizer.encode`, nearest in the latent space."""
        return self.codebooks.encode(self._latents(vectors))

    def last_level_distances(
        self, vectors: Float32[np.ndarray, "items dim"], codes: Integer[np.ndarray, "items levels"]
    ) -> Float32[np.ndarray, "items codebook_size"]:
        """As `Quantizer.last_level_distances`, in the latent space."""
        return self.codebooks.last_level_distances(self._latents(vectors), codes)

    def save(self, folder: Path) -> None:
        """As `Quantizer.save`; the decoder is not kept."""
        state = self.encoder.state_dict()
        tensors = {f"encoder.{name}": value.numpy() for name, value in state.items()}
        tensors["centroids"] = self.codebooks.centroids
        own = {"name": "rq-vae", "normalize": self.normalize, "input_dim": self.input_dim}
        write_quantizer(folder, tensors, self.codebooks.sizes | own)

    def _latents(
        self, vectors: Float32[np.ndarray, "items dim"]
    ) -> Float32[np.ndarray, "items latent"]:
        copies = prepared(vectors, self.normalize, self.input_dim)
        return latents_of(self.encoder, copies, ENCODE_BATCH)


def fit_rq_vae(
    config: RQVAEConfig,
    vectors: Float32[np.ndarray, "items dim"],
    progress: Progress = no_progress,
) -> tuple[RQVAE, Int32[np.ndarray, "items levels"]]:
    """Train the autoencoder, then code every item's latent.

    Codebooks start as k-means centroids of the first encoder outputs, a level having at most as
    many codes as there are distinct residuals; after every epoch, codes that it did not use come
    back at residuals of random items. The same seed gives the same codes on the same machine and
    number of threads.

    Balanced: after training, codebooks go on as balanced k-means of the latents (`balanced_means`),
    level by level, and the codes returned are its assignment, not the nearest.

    Args:
        config: The settings.
        vectors: One row an item; one copy is made of them.
        progress: Called after every epoch.

    Returns:
        The quantizer, and the items' codes.

    Raises:
        ValueError: If there are no vectors, a value is not finite, or training diverges.
    """
    inputs = checked_for_fit(vectors, config.normalize)
    model = _train(config, inputs, progress)
    codebooks = model.residual_codebooks()
    latents = latents_of(model.encoder, inputs, ENCODE_BATCH)
    if config.balanced:
        codebooks, codes = _balance(codebooks, latents)
    else:
        codes = codebooks.encode(latents)
    return RQVAE(model.encoder, codebooks, inputs.shape[1], config.normalize), codes


def load_rq_vae(config: RQVAEConfig, folder: Path) -> RQVAE:
    """Read what `RQVAE.save` wrote.

    Raises:
        ValueError: If a file is missing or damaged, or was fitted with other settings.
    """
    tensors, sizes = read_quantizer(folder, config, "rq-vae")
    codebooks = ResidualCodebooks.of_file(tensors, sizes, folder)
    input_dim = sizes.get("input_dim")
    ours = [input_dim, *config.hidden_dims, config.latent_dim]
    expected = {"centroids": codebooks.centroids.shape}
    for index in range(len(ours) - 1):
        expected[f"encoder.{2 * index}.weight"] = (ours[index + 1], ours[index])
        expected[f"encoder.{2 * index}.bias"] = (ours[index + 1],)
    found = {name: value.shape for name, value in tensors.items()}
    if found != expected or codebooks.dim != config.latent_dim:
        raise ValueError(
            f"the encoder in {folder} has not the layers {ours} of the settings: "
            "use the settings that it was fitted with"
        )
    encoder = perceptron(ours)
    state = {name: torch.from_numpy(value) for name, value in tensors.items()}
    del state["centroids"]
    encoder.load_state_dict({name.removeprefix("encoder."): v for name, v in state.items()})
    return RQVAE(encoder, codebooks, ours[0], config.normalize)


def _train(
    config: RQVAEConfig, inputs: Float32[np.ndarray, "items dim"], progress: Progress
) -> Autoencoder:
    random = np.random.default_rng(config.seed)
    sizes = [inputs.shape[1], *config.hidden_dims, config.latent_dim]
    codebook_size = config.codebook_size_for(len(inputs))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = Autoencoder(sizes, config.num_levels, codebook_size, config.commitment_weight)
    data = torch.from_numpy(inputs)
    some = random.permutation(len(data))[:MOST_RESEEDING]
    sample = data[torch.from_numpy(np.sort(some))]
    model.start_codebooks(sample, random)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    for epoch in range(config.epochs):
        order = torch.from_numpy(random.permutation(len(data)))
        codes = [_step(model, optimizer, data[rows]) for rows in order.split(config.batch_size)]
        used = used_codes(torch.cat(codes), codebook_size)
        if epoch + 1 < config.epochs:
            model.revive(used, sample, random)
        progress(epoch + 1, config.epochs)
    return model


def _step(
    model: Autoencoder, optimizer: torch.optim.Optimizer, batch: torch.Tensor
) -> torch.Tensor:
    """One update; returns the batch's codes."""
    loss, codes = model(batch)
    mean = loss.mean()
    if not torch.isfinite(mean):
        raise ValueError("the loss of rq-vae is not finite: lower its learning_rate")
    optimizer.zero_grad()
    mean.backward()
    optimizer.step()
    return codes


def _balance(
    codebooks: ResidualCodebooks, latents: Float32[np.ndarray, "items latent"]
) -> tuple[ResidualCodebooks, Int32[np.ndarray, "items levels"]]:
    """Codebooks as the means of balanced codes, level by level, and these codes."""
    residuals = latents.copy()
    codes = np.empty((len(latents), codebooks.num_levels), np.int32)
    levels = []
    for level, count in enumerate(codebooks.num_codes):
        start = codebooks.centroids[level, :count]
        centroids, codes[:, level] = balanced_means(residuals, start)
        subtract(residuals, centroids, codes[:, level])
        levels.append(centroids)
    return ResidualCodebooks.of_levels(levels, codebooks.codebook_size), codes
