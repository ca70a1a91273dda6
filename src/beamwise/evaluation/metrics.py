"""Recall and NDCG of one relevant item per user, counted by semantic ID and by item."""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor


def leaf_ranks(
    leaves: Int64[Tensor, "batch top_k"], target_leaves: Int64[Tensor, " batch"]
) -> Int64[Tensor, " batch"]:
    """Rank of each target's leaf among the returned ones, from 1; -1 where it was not returned.

    This is counting "by ID": a returned leaf is a hit whichever of its items the target is.

    Args:
        leaves: Distinct leaves, best first, padded with -1 at the end.
        target_leaves: Leaf of each target, >= 0.
    """
    hit = leaves == target_leaves[:, None]
    return torch.where(hit.any(dim=1), hit.int().argmax(dim=1) + 1, -1)


def first_item_ranks(
    ranks: Int64[Tensor, " batch"], returned_sizes: Int64[Tensor, "batch top_k"]
) -> Int64[Tensor, " batch"]:
    """Rank that the first item of the target's leaf has when leaves are expanded to their items.

    It is 1 + the number of items in the leaves above. Since a leaf holds at least one item, a leaf
    that is not among the best k spans item ranks > k only, so k leaves decide every metric at k.

    Args:
        ranks: What `leaf_ranks` gives; -1 stays -1.
        returned_sizes: Items of every returned leaf, best first; any value at padding.
    """
    above = torch.arange(1, returned_sizes.shape[1] + 1, device=ranks.device) < ranks[:, None]
    num_above = torch.where(above, returned_sizes, 0).sum(dim=1)
    return torch.where(ranks > 0, num_above + 1, -1)


def recall(ranks: Int64[Tensor, " batch"], k: int) -> Float64[Tensor, " batch"]:
    """Recall@k, for one relevant item the same as the hit rate: 1 where 1 <= rank <= k, else 0."""
    _check_cutoff(k)
    return ((ranks > 0) & (ranks <= k)).double()


def ndcg(ranks: Int64[Tensor, " batch"], k: int) -> Float64[Tensor, " batch"]:
    """NDCG@k with one relevant item: 1 / log2(1 + rank) where 1 <= rank <= k, else 0."""
    return recall(ranks, k) / torch.log2(1 + ranks.clamp(min=1).double())


def recall_by_item(
    first_ranks: Int64[Tensor, " batch"], leaf_sizes: Int64[Tensor, " batch"], k: int
) -> Float64[Tensor, " batch"]:
    """Recall@k averaged over the n ranks that the target's leaf spans.

    The scores cannot tell the n items of a leaf apart, so this is the expectation when their order
    is drawn uniformly at random:

        mean over r = first .. first + n - 1 of [r <= k]

    Args:
        first_ranks: What `first_item_ranks` gives; the value is 0 where it is -1.
        leaf_sizes: n, the items of each target's leaf.
        k: Items that count, >= 1.
    """
    _check_cutoff(k)
    inside = (k + 1 - first_ranks).clamp(min=0).minimum(leaf_sizes)
    return torch.where(first_ranks > 0, inside, 0).double() / leaf_sizes


def ndcg_by_item(
    first_ranks: Int64[Tensor, " batch"], leaf_sizes: Int64[Tensor, " batch"], k: int
) -> Float64[Tensor, " batch"]:
    """NDCG@k averaged over the n ranks that the target's leaf spans.

        mean over r = first .. first + n - 1 of [r <= k] / log2(1 + r)

    Args and the value at -1 are those of `recall_by_item`.
    """
    _check_cutoff(k)
    places = torch.arange(2, k + 2, dtype=torch.float64, device=first_ranks.device)
    gain_up_to = torch.nn.functional.pad(torch.log2(places).reciprocal().cumsum(0), (1, 0))
    above = first_ranks.clamp(min=1) - 1
    gain = gain_up_to[(above + leaf_sizes).clamp(max=k)] - gain_up_to[above.clamp(max=k)]
    return torch.where(first_ranks > 0, gain, 0.0) / leaf_sizes


def metrics_at(
    leaves: Int64[Tensor, "batch top_k"],
    target_leaves: Int64[Tensor, " batch"],
    returned_sizes: Int64[Tensor, "batch top_k"],
    target_sizes: Int64[Tensor, " batch"],
    ks: tuple[int, ...],
) -> dict[str, Tensor]:
    """Ranks and all metrics per user: `leaf_rank`, `first_item_rank`, `recall@5`, ...

    Args:
        leaves: As in `leaf_ranks`, at least as many a user as the largest of `ks` or all there are.
        target_leaves: Leaf of each target.
        returned_sizes: As in `first_item_ranks`.
        target_sizes: Items of each target's leaf.
        ks: Cutoffs.

    Returns:
        `(batch,)` tensors: ranks int64 with -1 where not returned, metrics float64. By ID under
        `recall@K` and `ndcg@K`, by item under the same with `_by_item`.
    """
    ranks = leaf_ranks(leaves, target_leaves)
    first = first_item_ranks(ranks, returned_sizes)
    columns = {"leaf_rank": ranks, "first_item_rank": first}
    return columns | metrics_of_ranks(ranks, first, target_sizes, ks)


def metrics_of_ranks(
    ranks: Int64[Tensor, " batch"],
    first_ranks: Int64[Tensor, " batch"],
    tied: Int64[Tensor, " batch"],
    ks: tuple[int, ...],
) -> dict[str, Tensor]:
    """All metrics per user, named as by `metrics_at`.

    Args:
        ranks: Of each target's leaf among leaves, from 1; -1 where it has none.
        first_ranks: First rank that each target can have among items, from 1; -1 as above.
        tied: Ranks among items that the target can have, all as likely; 1 where its rank is known.
        ks: Cutoffs.
    """
    columns: dict[str, Tensor] = {}
    for k in ks:
        columns[f"recall@{k}"] = recall(ranks, k)
        columns[f"ndcg@{k}"] = ndcg(ranks, k)
    for k in ks:
        columns[f"recall@{k}_by_item"] = recall_by_item(first_ranks, tied, k)
        columns[f"ndcg@{k}_by_item"] = ndcg_by_item(first_ranks, tied, k)
    return columns


def _check_cutoff(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}: a cutoff is a number of ranks that count")
