"""Catalogs whose paths look like those of titles: a quoted row of words of several tokens each."""

from __future__ import annotations

import torch

from beamwise.catalog import NUM_SPECIAL_TOKENS, Catalog

QUOTE = NUM_SPECIAL_TOKENS
"""Begins and ends every title, before the end token."""


def title_like_catalog(
    seed: int,
    num_items: int = 14,
    *,
    num_words: int = 6,
    most_words: int = 4,
    vocab_size: int | None = None,
) -> Catalog:
    """Titles of 1 to `most_words` words, of which each is 1 to 3 tokens that no other word has.

    So most tokens are forced, the first always is, paths differ in length, titles are beginnings of
    others, and some items may share one.

    Args:
        seed: Of the titles.
        num_items: Items, of which some may have equal titles.
        num_words: Words that titles are made of.
        most_words: Words of the longest title.
        vocab_size: As of the catalog; words' tokens are then spread over all of it.
    """
    generator = torch.Generator().manual_seed(seed)
    used = QUOTE + 1 + 3 * num_words
    stride = 1 if vocab_size is None else (vocab_size - QUOTE - 1) // (3 * num_words)
    lengths = torch.randint(1, 4, (num_words,), generator=generator).tolist()
    words = [
        [QUOTE + 1 + stride * (3 * word + place) for place in range(length)]
        for word, length in enumerate(lengths)
    ]
    titles = []
    for _ in range(num_items):
        count = int(torch.randint(1, most_words + 1, (), generator=generator))
        chosen = torch.randint(num_words, (count,), generator=generator).tolist()
        titles.append([QUOTE, *(token for word in chosen for token in words[word]), QUOTE])
    width = max(len(title) for title in titles)
    rows = torch.tensor([title + [0] * (width - len(title)) for title in titles])
    sizes = [len(title) for title in titles]
    return Catalog.from_tokens(rows, sizes, vocab_size=vocab_size or used)
