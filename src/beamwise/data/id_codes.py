"""Ids as numbers: each distinct text held once, however many rows name it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from jaxtyping import Int32, Int64


class IdEncoder:
    """Takes ids some rows at a time, and numbers them by first appearance.

    It holds the distinct ids of every part, never the text of all rows.
    """

    def __init__(self) -> None:
        self._parts: list[pa.DictionaryArray] = []

    def add(self, ids: pl.Series) -> None:
        """The ids of the next rows, String without nulls."""
        self._parts.append(ids.to_arrow().dictionary_encode())

    def finish(self) -> tuple[pl.Series, Int32[np.ndarray, " rows"]]:
        """The distinct ids in order of first appearance, and for every row its place among them."""
        if not self._parts:
            return pl.Series(dtype=pl.String), np.zeros(0, dtype=np.int32)
        whole = pa.chunked_array(self._parts).unify_dictionaries()
        self._parts.clear()
        codes = [chunk.indices.to_numpy() for chunk in whole.chunks]
        ids = pl.Series(whole.chunk(0).dictionary, dtype=pl.String)
        return ids, np.concatenate(codes).astype(np.int32, copy=False)


def check_ids(name: str, ids: pl.Series, named: Int32[np.ndarray, " rows"]) -> None:
    """Refuse ids that are not distinct texts, and rows that name none of them.

    Raises:
        ValueError: Which, and of which column.
    """
    if ids.dtype != pl.String:
        raise ValueError(f"{name} is {ids.dtype}: cast it to String")
    if ids.null_count() or (ids == "").any():
        raise ValueError(f"{name} holds a null or an empty text: give every id a text")
    if ids.n_unique() != len(ids):
        repeated = ids.filter(ids.is_duplicated())[0]
        raise ValueError(f"{name} {repeated!r} stands more than once: ids must be distinct")
    if len(named) and not 0 <= named.min() <= named.max() < len(ids):
        raise ValueError(
            f"{name}: rows name {named.min()}..{named.max()}, there are {len(ids)} ids"
        )


def numbered_by_first_row(
    ids: pl.Series, named: Int32[np.ndarray, " rows"]
) -> tuple[pl.Series, Int32[np.ndarray, " rows"]]:
    """Ids in the order in which rows first name them, and the rows' new places."""
    first = np.full(len(ids), len(named), dtype=np.int64)
    first[named[::-1]] = np.arange(len(named) - 1, -1, -1)  # the last write to a place stays
    order = np.argsort(first, kind="stable")[: int((first < len(named)).sum())]
    return _renumbered(ids, named, order)


def only_named(
    ids: pl.Series, named: Int32[np.ndarray, " rows"]
) -> tuple[pl.Series, Int32[np.ndarray, " rows"]]:
    """Ids that some row names, in their order, and the rows' new places."""
    return _renumbered(ids, named, np.flatnonzero(np.bincount(named, minlength=len(ids))))


def _renumbered(
    ids: pl.Series,
    named: Int32[np.ndarray, " rows"],
    order: Int64[np.ndarray, " kept"],
) -> tuple[pl.Series, Int32[np.ndarray, " rows"]]:
    if len(order) == len(ids) and (order[:-1] < order[1:]).all():
        return ids, named
    place = np.zeros(len(ids), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return ids.gather(order), place[named]
