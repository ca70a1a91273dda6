"""Rows of a raw file, a bounded number at a time."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

ROWS_AT_ONCE = 500_000
"""Rows of a batch at most, so that memory does not grow with the file."""


class RawBatch(NamedTuple):
    """Some successive rows of a file, with the columns asked for."""

    first_row: int
    """Number of the first row in the file, from 1, a header not counted."""
    table: pl.DataFrame
    """The columns asked for under the names asked for; text where the format has no types."""
