"""Codes come back from the tokens that were made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.tokenization.codes import codes_of


@given(
    seed=st.integers(0, 2**32 - 1),
    num_items=st.integers(1, 12),
    num_levels=st.integers(1, 4),
    codebook_size=st.integers(1, 9),
    end_token=st.booleans(),
)
def test_the_inverse_of_from_codes(seed, num_items, num_levels, codebook_size, end_token):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, codebook_size, (num_items, num_levels)).astype(np.int32)
    catalog = Catalog.from_codes(codes, codebook_size, end_token=end_token)
    np.testing.assert_array_equal(codes_of(catalog, codebook_size), codes)


def test_another_codebook_size_is_refused():
    catalog = Catalog.from_codes(np.array([[0, 3]]), 4)
    with pytest.raises(ValueError, match=r"codebook_size=5 has 12 tokens, this one has 10"):
        codes_of(catalog, 5)
