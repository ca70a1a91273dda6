"""Inclusion probabilities: hypergeometric, with all digits in huge catalogs."""

from __future__ import annotations

import torch
from scipy.stats import hypergeom

from beamwise.sequences.inclusion_probability import log_inclusion_probability


def test_inclusion_probability_is_hypergeometric() -> None:
    num_below = torch.tensor([1, 2, 17, 400, 901, 1000])
    log_probability = log_inclusion_probability(num_below, 1000, 100)
    expected = hypergeom(1000, num_below.numpy(), 100).sf(0)
    torch.testing.assert_close(log_probability.exp(), torch.from_numpy(expected))


def test_inclusion_probability_keeps_its_digits_in_a_huge_catalog() -> None:
    # One leaf of N is drawn with probability k / N exactly.
    log_probability = log_inclusion_probability(torch.tensor([1]), 10**8, 100)
    torch.testing.assert_close(log_probability, torch.tensor([1e-6]).double().log())
