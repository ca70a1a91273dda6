"""Random candidate scores for the tests of objectives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from beamwise.objectives import CandidateScores

MakeScores = Callable[..., CandidateScores]


@pytest.fixture
def make_scores() -> MakeScores:
    """Scores in float64: targets of 1 to `levels` tokens, some negatives that do not count."""

    def make(
        seed: int = 0,
        batch: int = 5,
        candidates: int = 4,
        levels: int = 3,
        *,
        weighted: bool = False,
    ) -> CandidateScores:
        generator = torch.Generator().manual_seed(seed)
        shape = (batch, candidates, levels)
        log_probs = -3 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.1
        lengths = torch.randint(1, levels + 1, (batch, candidates), generator=generator)
        lengths[0] = levels
        exists = torch.arange(levels) < lengths[..., None]
        counts = exists & (torch.rand(shape, generator=generator) < 0.7)
        counts[:, 0] = exists[:, 0]
        log_weights = torch.randn(shape, generator=generator, dtype=torch.float64)
        return CandidateScores(
            log_probs.where(exists, 0.0).requires_grad_(), counts, log_weights if weighted else None
        )

    return make
