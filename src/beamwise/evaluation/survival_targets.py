"""Where the targets stand among the prefixes of every level, and where a beam loses them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.evaluation.survival_tree import ScoredTree


@dataclass(frozen=True, eq=False)
class TargetPlaces:
    """The place of each target's prefix among its competitors, by their true scores.

    Levels and competitors are those of `ScoredTree`. A target that ends before a level is a leaf by
    then and competes at the last level only. Of targets that nothing can find, all is absent.
    """

    nodes: Int64[Tensor, "batch levels"]
    """The target's prefix of each length; where it is shorter, the whole target."""
    reachable: Bool[Tensor, " batch"]
    """Whether a search without limits finds the target: neither is it retired, nor is its
    probability zero."""
    competes: Bool[Tensor, "batch levels"]
    ranks: Int64[Tensor, "batch levels"]
    """1 is the best; of equal scores the lower node is first. -1 where the target does not
    compete."""
    token_ranks: Int64[Tensor, "batch levels"]
    """Rank of the target's token among the tokens that may follow its own true prefix; -1 past the
    target's end. Below the last level a token that ends an item holds no place in a beam, so it
    counts only in the rank of a token that ends one too."""


def target_places(
    tree: ScoredTree,
    target_leaves: Int64[Tensor, " batch"],
    reachable: Bool[Tensor, " batch"],
) -> TargetPlaces:
    """Rank every target's prefixes.

    Args:
        tree: The scores of all prefixes.
        target_leaves: Leaf of each target; any where it is not reachable.
        reachable: False where the target is retired.
    """
    path = tree.catalog.leaf_nodes[target_leaves].long()
    last = path.amax(dim=1)
    reachable = reachable & (tree.scores.gather(1, last[:, None])[:, 0] > -torch.inf)
    nodes = torch.where(path >= 0, path, last[:, None])
    ends = tree.is_leaf[nodes]
    ends[:, -1] = False  # at the last level all of them compete, as leaves
    competes = ~ends & reachable[:, None]
    on_path = (path >= 0) & reachable[:, None]
    ranks = torch.stack(
        [_rank(tree, level, nodes, target_leaves) for level in range(1, tree.num_levels + 1)], 1
    )
    tokens = torch.stack(
        [_token_rank(tree, level, nodes[:, level - 1]) for level in range(1, tree.num_levels + 1)],
        1,
    )
    return TargetPlaces(
        nodes,
        reachable,
        competes,
        ranks.masked_fill(~competes, -1),
        tokens.masked_fill(~on_path, -1),
    )


def _rank(
    tree: ScoredTree,
    level: int,
    nodes: Int64[Tensor, "batch levels"],
    target_leaves: Int64[Tensor, " batch"],
) -> Int64[Tensor, " batch"]:
    table = tree.competitors(level)
    if level == tree.num_levels:
        return _place_of(table, target_leaves)
    first = tree.nodes_of(level).start
    columns = (nodes[:, level - 1] - first).clamp(0, table.shape[1] - 1)
    return _place_of(table, columns)


def _token_rank(
    tree: ScoredTree, level: int, nodes: Int64[Tensor, " batch"]
) -> Int64[Tensor, " batch"]:
    """Rank among the children of the node's own parent; any value past the target's end.

    A leaf takes no place from a node that is none, and at the last level there are leaves only.
    """
    part = tree.nodes_of(level)
    siblings = tree.parents[part] == tree.parents[nodes][:, None]
    siblings &= ~tree.is_leaf[part] | tree.is_leaf[nodes][:, None]
    table = tree.scores[:, part].masked_fill(~siblings, -torch.inf)
    return _place_of(table, (nodes - part.start).clamp(0, table.shape[1] - 1))


def _place_of(
    table: Float[Tensor, "batch columns"], columns: Int64[Tensor, " batch"]
) -> Int64[Tensor, " batch"]:
    """1 + the columns that come before the given one: higher, or equal and further left."""
    own = table.gather(1, columns[:, None])
    is_left = torch.arange(table.shape[1], device=table.device) < columns[:, None]
    return ((table > own) | ((table == own) & is_left)).sum(dim=1) + 1


def margins(
    tree: ScoredTree, places: TargetPlaces, limits: tuple[int, ...]
) -> Float[Tensor, "batch levels"]:
    """Log-probability of the target's prefix minus that of the last that has a place, in nats.

    Below 0 the prefix has no place among the best of all prefixes of its level. Infinite where the
    target does not compete, and where fewer compete than there are places, so that none is last.

    Args:
        tree: The scores.
        places: The targets' prefixes.
        limits: Places at each level: a beam's width, at the last level the number of results.
    """
    columns = []
    for level, limit in enumerate(limits, start=1):
        table = tree.competitors(level)
        nodes = places.nodes[:, level - 1]
        own = tree.scores.gather(1, nodes[:, None])[:, 0]
        if table.shape[1] < limit:
            columns.append(torch.full_like(own, torch.inf))
            continue
        last = table.topk(limit, dim=1, sorted=False).values.amin(dim=1)
        known = places.competes[:, level - 1] & (last > -torch.inf)
        columns.append(torch.where(known, own - last, torch.inf))
    return torch.stack(columns, 1)


def kept_by_level(
    nodes: Int64[Tensor, "*rows levels"],
    lives: Bool[Tensor, "*rows levels"],
    returned: Bool[Tensor, "*rows"],
) -> Bool[Tensor, "*rows levels"]:
    """Whether paths are still in the search after each level; after the last, whether returned.

    Args:
        nodes: Their prefixes of every length, -1 where there is no path.
        lives: Whether each prefix was kept, or reached as a leaf.
        returned: Whether the whole is among the results.
    """
    kept = lives & (nodes >= 0)
    return torch.cat([kept[..., :-1], (returned & kept[..., -1])[..., None]], -1)


def level_of_loss(kept: Bool[Tensor, "batch levels"]) -> Int64[Tensor, " batch"]:
    """The first level, from 1, after which a path is no longer there; 0 where it is to the end."""
    lost = ~kept
    return torch.where(lost.any(dim=1), lost.int().argmax(dim=1) + 1, 0)
