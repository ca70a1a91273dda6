"""Targets that came with a dataset: which item of which user is predicted, and for what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int8

from beamwise.data.interactions import Interactions
from beamwise.data.parquet_files import read_table

TARGETS_FILE = "targets.parquet"
"""In a dataset folder: a row a target."""
TARGET_COLUMNS = {"user_id": pl.String, "position": pl.Int64, "part": pl.String}
"""A position counts the user's items in time order, from 0."""
PARTS = ("training", "validation", "test")
"""What a target is for; in an array of numbers they are 1, 2 and 3."""


def read_targets(path: Path) -> pl.DataFrame | None:
    """The targets of a dataset folder's `TARGETS_FILE`; None where it has none.

    Raises:
        ValueError: If the file is not readable.
    """
    return read_table(path) if path.exists() else None


def published_parts(
    targets: pl.DataFrame, interactions: Interactions
) -> Int8[np.ndarray, " interactions"]:
    """The part that each interaction is a target of, numbered as in `PARTS` from 1; 0 for none.

    Args:
        targets: With `TARGET_COLUMNS`, in any order.
        interactions: Those that the positions are of, in canonical order.

    Raises:
        ValueError: If a column is missing or of another type, a user or part is unknown, a position
            is not one of the user's after the first, a target stands twice, or there is none.
    """
    _check_columns(targets)
    users = pl.DataFrame({"user_id": interactions.user_ids}).with_row_index("user")
    known = targets.join(users, on="user_id", how="left", maintain_order="left")
    _refuse(known, known["user"].is_null(), "user_id", "a user of the interactions")
    _refuse(known, ~known["part"].is_in(PARTS), "part", f"one of {', '.join(PARTS)}")
    user = known["user"].to_numpy()
    starts, positions = interactions.starts, known["position"].to_numpy()
    lengths = np.diff(starts)[user]
    outside = pl.Series((positions < 1) | (positions >= lengths))
    _refuse(known, outside, "position", "a place in the user's list with an item before it")
    _refuse(known, known.select("user", "position").is_duplicated(), "position", "there only once")
    parts = np.zeros(len(interactions), dtype=np.int8)
    numbers = known["part"].replace_strict(PARTS, range(1, len(PARTS) + 1), return_dtype=pl.Int8)
    parts[starts[user] + positions] = numbers.to_numpy()
    return parts


def _check_columns(targets: pl.DataFrame) -> None:
    for name, dtype in TARGET_COLUMNS.items():
        if targets.schema.get(name) != dtype:
            found = targets.schema.get(name, "missing")
            raise ValueError(f"column {name!r} of the targets is {found}: it must be {dtype}")
        if targets[name].null_count():
            row = targets[name].is_null().arg_max()
            raise ValueError(f"column {name!r} is null in row {row} of the targets: drop the row")
    if not len(targets):
        raise ValueError("the table of targets has no rows: at least one is needed")


def _refuse(targets: pl.DataFrame, is_bad: pl.Series, column: str, expected: str) -> None:
    if not is_bad.any():
        return
    row = is_bad.arg_max() or 0
    raise ValueError(
        f"{column} {targets[column][row]!r} in row {row} of the targets (user "
        f"{targets['user_id'][row]!r}) is not {expected}: run `beamwise prepare` again"
    )
