"""From item vectors to codes, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from beamwise.tokenization.quantizers.base import Progress, Quantizer, QuantizerConfig
from beamwise.tokenization.quantizers.rq_kmeans import (
    RQKMeansConfig,
    fit_rq_kmeans,
    load_rq_kmeans,
)
from beamwise.tokenization.quantizers.rq_vae import RQVAEConfig, fit_rq_vae, load_rq_vae


class QuantizerMethod(NamedTuple):
    """A quantizer's settings, and how it is fitted and loaded."""

    config: type[QuantizerConfig]
    fit: Callable[[Any, np.ndarray, Progress], tuple[Quantizer, np.ndarray]]
    """From settings, vectors (items, dim) and progress: the quantizer, and the items' codes
    (items, levels), which a balanced quantizer would not choose again."""
    load: Callable[[Any, Path], Quantizer]
    """From settings and the folder that `Quantizer.save` wrote."""


QUANTIZERS: dict[str, QuantizerMethod] = {
    "rq-kmeans": QuantizerMethod(RQKMeansConfig, fit_rq_kmeans, load_rq_kmeans),
    "rq-vae": QuantizerMethod(RQVAEConfig, fit_rq_vae, load_rq_vae),
}

AnyQuantizerConfig = Annotated[RQKMeansConfig | RQVAEConfig, Field(discriminator="name")]
"""The type of a setting that chooses a quantizer by `name`."""

__all__ = [
    "QUANTIZERS",
    "AnyQuantizerConfig",
    "Progress",
    "Quantizer",
    "QuantizerConfig",
    "QuantizerMethod",
    "RQKMeansConfig",
    "RQVAEConfig",
]
