"""Flat values of many rows as padded tables, and the first k of each row in a total order."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor


class Layout(NamedTuple):
    """Where flat values, grouped by row, stand in a padded table."""

    rows: Int64[Tensor, " total"]
    columns: Int64[Tensor, " total"]
    num_rows: int
    num_columns: int

    def table(
        self, values: Shaped[Tensor, " total"], fill: int | float
    ) -> Shaped[Tensor, "rows columns"]:
        """The values in their places, `fill` elsewhere."""
        padded = values.new_full((self.num_rows, self.num_columns), fill)
        padded[self.rows, self.columns] = values
        return padded


def layout(rows: Int64[Tensor, " total"], num_rows: int) -> Layout:
    """Give the values of each row consecutive columns, in the order in which they stand.

    Args:
        rows: The row of every value, ascending.
        num_rows: Rows of the table, those without a value included.
    """
    counts = torch.bincount(rows, minlength=num_rows)
    starts = counts.cumsum(0) - counts
    columns = torch.arange(len(rows), device=rows.device) - starts[rows]
    return Layout(rows, columns, num_rows, int(counts.max()) if num_rows else 0)


def unrolled(
    counts: Int64[Tensor, " owners"],
) -> tuple[Int64[Tensor, " total"], Int64[Tensor, " total"]]:
    """Of owners that have so many values each: the owner of every value, and its number there."""
    owner = torch.repeat_interleave(counts)
    starts = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - starts[owner]


def stable_top_k(scores: Float[Tensor, "rows columns"], k: int) -> Int64[Tensor, "rows kept"]:
    """The columns of the k highest scores of each row, ascending; of equal scores the first.

    `torch.topk` promises no order among ties, so it only gives the threshold; what equals it is
    taken from the left. Work grows with the number of columns, not with their sorting.

    Args:
        scores: No NaN.
        k: Columns to keep, >= 1; all of them where there are fewer.
    """
    num_rows, num_columns = scores.shape
    if k >= num_columns:
        return torch.arange(num_columns, device=scores.device).expand(num_rows, -1)
    threshold = scores.topk(k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
    above, equal = scores > threshold, scores == threshold
    free = k - above.sum(dim=1, keepdim=True)
    kept = above | (equal & (equal.cumsum(dim=1) <= free))
    return kept.nonzero()[:, 1].view(num_rows, k)


def ranked_top_k(scores: Float[Tensor, "rows columns"], k: int) -> Int64[Tensor, "rows kept"]:
    """As `stable_top_k`, in the total order: score descending, then column."""
    kept = stable_top_k(scores, k)
    order = scores.gather(1, kept).sort(dim=1, descending=True, stable=True).indices
    return kept.gather(1, order)
