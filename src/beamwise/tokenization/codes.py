"""The codes behind the tokens of a catalog of semantic IDs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32

from beamwise.catalog import NUM_SPECIAL_TOKENS, Catalog


def codes_of(catalog: Catalog, codebook_size: int) -> Int32[np.ndarray, "items levels"]:
    """Every item's codes; the inverse of `Catalog.from_codes`, an end token left out.

    Raises:
        ValueError: If the catalog's vocabulary is not that of so many codes a level.
    """
    num_levels = catalog.num_levels - (catalog.end_token is not None)
    if catalog.vocab_size != NUM_SPECIAL_TOKENS + num_levels * codebook_size:
        raise ValueError(
            f"a catalog of {num_levels} levels with codebook_size={codebook_size} has "
            f"{NUM_SPECIAL_TOKENS + num_levels * codebook_size} tokens, this one has "
            f"{catalog.vocab_size}: give the codebook_size that it was made with"
        )
    paths = catalog.leaf_tokens[catalog.leaf_of_item.long(), :num_levels].cpu().numpy()
    return paths - NUM_SPECIAL_TOKENS - codebook_size * np.arange(num_levels, dtype=np.int32)
