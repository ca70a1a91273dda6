"""Builds the arrays of a catalog's prefix tree from its items' paths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from jaxtyping import Int, Int32
from torch import Tensor


class TreeArrays(TypedDict):
    """The fields of a `Catalog` that follow from the paths alone; it says what they mean."""

    level_start: tuple[int, ...]
    child_start: Tensor
    child_token: Tensor
    leaf_start: Tensor
    leaf_stop: Tensor
    leaf_tokens: Tensor
    leaf_nodes: Tensor
    leaf_of_item: Tensor
    leaf_item_start: Tensor
    leaf_items: Tensor


class PathShape(NamedTuple):
    """How long the leaves' paths are, and how often they branch."""

    mean_tokens: float
    mean_branchings: float
    """Tokens that have an alternative; the others are forced."""
    most_branchings: int


def checked_paths(
    tokens: Int[Tensor, "items levels"] | np.ndarray | Sequence[Sequence[int]],
    lengths: Int[Tensor, " items"] | np.ndarray | Sequence[int] | None,
    end_token: int,
) -> tuple[np.ndarray, bool]:
    """Items' tokens as paths, and whether these end with the end token.

    Returns:
        int32 (items, levels), the end token appended where lengths are given, padded with -1.

    Raises:
        ValueError: As `Catalog.from_tokens` says.
    """
    rows = np.asarray(tokens)
    if rows.ndim != 2 or rows.size == 0 or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"tokens must be integers of shape (items, levels) with at least one of each, "
            f"got {rows.dtype} of shape {rows.shape}"
        )
    if lengths is None:
        if rows.min() < 0:
            raise ValueError(
                f"token {int(rows.min())} is negative: give `lengths` where items differ in length"
            )
        return _as_int32(rows), False
    counts = np.asarray(lengths)
    num_items, num_levels = rows.shape
    if counts.shape != (num_items,) or not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(
            f"lengths must be integers of shape ({num_items},), one an item, "
            f"got {counts.dtype} of shape {counts.shape}"
        )
    if counts.min() < 1 or counts.max() > num_levels:
        bad = int(counts.min() if counts.min() < 1 else counts.max())
        raise ValueError(f"length {bad} is outside 1..{num_levels}: an item has at least one token")
    if end_token < 0:
        raise ValueError(f"end_token must be >= 0, got {end_token}")
    column = np.arange(num_levels + 1)
    paths = np.full((num_items, num_levels + 1), -1, dtype=np.int32)
    counted = column[:-1] < counts[:, None]
    inside = rows[counted]
    if inside.min() < 0:
        raise ValueError(f"token {int(inside.min())} is negative: tokens are >= 0")
    paths[:, :-1][counted] = _as_int32(inside)
    paths[np.arange(num_items), counts] = end_token
    return paths[:, : counts.max() + 1], True


def _as_int32(tokens: np.ndarray) -> np.ndarray:
    if tokens.max() > np.iinfo(np.int32).max:
        raise ValueError(f"token {int(tokens.max())} does not fit 32 bits: tokens are < 2**31")
    return tokens.astype(np.int32)


def build_tree(paths: np.ndarray) -> TreeArrays:
    """Sort the paths once and read every array off the sorted rows, a level at a time.

    Args:
        paths: int32, (items, levels), each row padded with -1 past its end.

    Raises:
        ValueError: If one item's path is the beginning of another's.
    """
    num_items, num_levels = paths.shape
    order = np.lexsort(paths.T[::-1])  # stable: items of one leaf stay in index order
    ordered = paths[order]
    node_of_row = np.empty((num_items, num_levels), dtype=np.int32)
    starts_prefix = np.zeros(num_items, dtype=bool)
    starts_prefix[0] = True
    firsts, stops, tokens, parents, level_start = [], [], [], [], [0, 1]
    for level in range(num_levels):
        column = ordered[:, level]
        starts_prefix[1:] |= column[1:] != column[:-1]
        begins = np.flatnonzero(starts_prefix)
        ends = np.append(begins[1:], num_items)
        exists = column[begins] >= 0
        first = begins[exists]
        numbers = level_start[-1] + np.cumsum(starts_prefix & (column >= 0)) - 1
        node_of_row[:, level] = np.where(column >= 0, numbers, -1)
        firsts.append(first)
        stops.append(ends[exists])
        tokens.append(column[first])
        parents.append(node_of_row[first, level - 1] if level else np.zeros(len(first), np.int32))
        level_start.append(level_start[-1] + len(first))
    leaf_of_row = np.cumsum(starts_prefix) - 1
    leaf_first = np.flatnonzero(starts_prefix)
    num_nodes = level_start[-1]
    child_start = np.zeros(num_nodes + 1, dtype=np.int32)
    np.cumsum(np.bincount(np.concatenate(parents), minlength=num_nodes), out=child_start[1:])
    _check_no_path_in_another(child_start, node_of_row[leaf_first], ordered[leaf_first])
    leaf_of_item = np.empty(num_items, dtype=np.int32)
    leaf_of_item[order] = leaf_of_row
    first_row, stop_row = np.concatenate([[0], *firsts]), np.concatenate([[num_items], *stops])
    return TreeArrays(
        level_start=tuple(level_start),
        child_start=_int32(child_start),
        child_token=_int32(np.concatenate(tokens)),
        leaf_start=_int32(leaf_of_row[first_row]),
        leaf_stop=_int32(leaf_of_row[stop_row - 1] + 1),
        leaf_tokens=_int32(ordered[leaf_first]),
        leaf_nodes=_int32(node_of_row[leaf_first]),
        leaf_of_item=_int32(leaf_of_item),
        leaf_item_start=_int32(np.append(leaf_first, num_items)),
        leaf_items=_int32(order),
    )


def run_stops(
    child_start: Int32[Tensor, " nodes_and_one"], level_start: Sequence[int]
) -> Int32[Tensor, " nodes"]:
    """The first node at or below each that has not exactly one child, from the deepest level up."""
    stops = torch.arange(len(child_start) - 1, dtype=torch.int32, device=child_start.device)
    for first, stop in reversed(list(pairwise(level_start))):
        edges = child_start[first : stop + 1]
        upper = (edges.diff() == 1).nonzero()[:, 0]
        stops[first + upper] = stops[edges[upper].long() + 1]  # edge e leads to node e + 1
    return stops


def path_shape(
    child_start: Int32[Tensor, " nodes_and_one"], leaf_nodes: Int32[Tensor, "leaves levels"]
) -> PathShape:
    """Tokens and branching nodes of the leaves' paths, a level at a time."""
    branches = child_start.diff() > 1
    branchings = branches[:1].int().expand(len(leaf_nodes)).clone()
    num_tokens = 0
    for nodes in leaf_nodes.unbind(1):
        exists = nodes >= 0
        num_tokens += int(exists.sum())
        branchings += branches[nodes.clamp(min=0)] & exists
    mean_branchings = float(branchings.double().mean())
    return PathShape(num_tokens / len(leaf_nodes), mean_branchings, int(branchings.max()))


def _int32(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.int32, copy=False))


def _check_no_path_in_another(
    child_start: np.ndarray, leaf_nodes: np.ndarray, leaf_tokens: np.ndarray
) -> None:
    lengths = (leaf_nodes >= 0).sum(axis=1)
    last = leaf_nodes[np.arange(len(leaf_nodes)), lengths - 1]
    inner = np.flatnonzero(child_start[last] != child_start[last + 1])
    if len(inner):
        path = leaf_tokens[inner[0], : lengths[inner[0]]].tolist()
        raise ValueError(
            f"the path {path} is the beginning of another item's: choose an end_token that no item "
            "contains"
        )
