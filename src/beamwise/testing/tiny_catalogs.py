"""Catalogs of a few items, and a TIGER small enough to compare with loops over them."""

from __future__ import annotations

import random

import torch
from jaxtyping import Int64
from torch import Tensor

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


def random_titles(seed: int, num_items: int = 12, num_words: int = 4) -> Catalog:
    """The catalog of `random_title_tokens`, over a vocabulary of 8."""
    tokens, lengths = random_title_tokens(seed, num_items, num_words)
    return Catalog.from_tokens(tokens, lengths, vocab_size=8)


def random_title_tokens(
    seed: int, num_items: int = 12, num_words: int = 4
) -> tuple[Int64[Tensor, "items longest"], Int64[Tensor, " items"]]:
    """Titles of 1 to 4 words of 1 to 5 tokens: most tokens are forced, some titles begin others.

    Words begin with one of few tokens, so titles part at any depth. Some items share a title.

    Args:
        seed: Of everything.
        num_items: Items.
        num_words: Different words.

    Returns:
        Tokens 2 to 7, padded with 0, and how many each title has.
    """
    choice = random.Random(seed)
    words = [[choice.randint(2, 7) for _ in range(choice.randint(1, 5))] for _ in range(num_words)]
    titles = [
        [token for word in choice.choices(words, k=choice.randint(1, 4)) for token in word]
        for _ in range(num_items)
    ]
    longest = max(map(len, titles))
    tokens = torch.tensor([title + [0] * (longest - len(title)) for title in titles])
    return tokens, torch.tensor([len(title) for title in titles])
