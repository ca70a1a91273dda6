"""Catalogs of a few items, and a TIGER small enough to compare with loops over them."""

from __future__ import annotations

import torch

from beamwise.backbones import TigerConfig
from beamwise.catalog import Catalog

TINY_TIGER = TigerConfig(
    dim=8,
    num_encoder_layers=1,
    num_decoder_layers=2,
    num_heads=2,
    head_dim=4,
    feedforward_dim=8,
    dropout=0.0,
)
TITLES = Catalog.from_tokens(
    torch.tensor([[5, 6, 7], [5, 6, 0], [8, 0, 0], [5, 9, 0], [5, 6, 7]]), lengths=[3, 2, 1, 2, 3]
)
"""Five items on four leaves [5, 6, 1], [5, 6, 7, 1], [5, 9, 1] and [8, 1]."""


def random_semantic_ids(
    seed: int, num_items: int = 12, num_levels: int = 3, codebook_size: int = 3
) -> Catalog:
    """Random codes, of which some items may share all."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(codebook_size, (num_items, num_levels), generator=generator)
    return Catalog.from_codes(codes, codebook_size)
