"""Interactions: who took which item, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Int32, Int64

from beamwise.data.id_codes import IdEncoder, check_ids, numbered_by_first_row, only_named
from beamwise.data.parquet_files import UnreadableFileError, table_parts
from beamwise.data.raw_batches import ROWS_AT_ONCE

COLUMNS = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
DICTIONARY_BYTES = 16 * 2**20
"""Distinct ids of a row group, in bytes of text, up to which a file holds each only once."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Checked interactions in canonical order, an id held once however often it occurs.

    The order is: users as they first appear in the rows given, each user's rows by timestamp, and
    rows of equal timestamp as they stood. A row that stands twice counts twice. An interaction
    takes 16 bytes, so tens of millions fit into memory; `from_table` makes them from a table.

    Ids that no row names are dropped, so that every user and every item has an interaction. Arrays
    are the caller's no more: they must not be changed.

    Raises:
        ValueError: If there are no rows, an id repeats or is null or empty, or a row names an id
            that is not there.
    """

    user_ids: pl.Series
    """String, distinct, in canonical order; its position is what `users` names."""
    item_ids: pl.Series
    """String, distinct, in the order given; its position is what `items` names."""
    users: Int32[np.ndarray, " interactions"]
    """The user of each interaction; ascending."""
    items: Int32[np.ndarray, " interactions"]
    """The item of each interaction."""
    timestamps: Int64[np.ndarray, " interactions"]
    """Its time, in any unit, the same for all."""

    def __post_init__(self) -> None:
        check_ids("user_id", self.user_ids, self.users)
        check_ids("item_id", self.item_ids, self.items)
        assert len(self.users) == len(self.items) == len(self.timestamps)
        if not len(self.users):
            raise ValueError("interactions have no rows: at least one is needed")
        user_ids, users = numbered_by_first_row(self.user_ids, self.users)
        item_ids, items = only_named(self.item_ids, self.items)
        timestamps = self.timestamps
        if not _is_in_order(users, timestamps):
            order = np.lexsort((timestamps, users))
            users, items, timestamps = users[order], items[order], timestamps[order]
        columns = {"user_ids": user_ids.alias("user_id"), "item_ids": item_ids.alias("item_id")}
        columns |= {"users": users, "items": items, "timestamps": timestamps}
        for name, values in columns.items():
            object.__setattr__(self, name, values)

    @classmethod
    def from_table(cls, table: pl.DataFrame) -> Interactions:
        """Check a table with the columns user_id String, item_id String and timestamp Int64.

        Other columns are dropped.

        Raises:
            ValueError: If a column is missing or of another type, a value is null, an id is empty,
                or there are no rows; the message names the row, from 0.
        """
        return cls._from_parts(table.iter_slices(ROWS_AT_ONCE) if len(table) else [table])

    @classmethod
    def _from_parts(cls, parts: Iterable[pl.DataFrame]) -> Interactions:
        """As `from_table`, of a table in parts; an empty table is one part."""
        users, items, timestamps = IdEncoder(), IdEncoder(), [np.zeros(0, dtype=np.int64)]
        first_row = 0
        for part in parts:
            _check_columns(part)
            _check_rows(part, first_row)
            users.add(part["user_id"])
            items.add(part["item_id"])
            timestamps.append(part["timestamp"].to_numpy())
            first_row += len(part)
        (user_ids, users_of), (item_ids, items_of) = users.finish(), items.finish()
        return cls(user_ids, item_ids, users_of, items_of, np.concatenate(timestamps))

    def __len__(self) -> int:
        return len(self.users)

    @property
    def num_users(self) -> int:
        """Distinct users."""
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        """Distinct items that somebody took."""
        return len(self.item_ids)

    @property
    def starts(self) -> Int64[np.ndarray, " users_and_one"]:
        """User `u` has the interactions from `starts[u]` up to, not including, `starts[u + 1]`."""
        starts = np.zeros(self.num_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.users, minlength=self.num_users), out=starts[1:])
        return starts

    @property
    def table(self) -> pl.DataFrame:
        """All rows with their ids as text: user_id, item_id, timestamp. Large, and made anew."""
        return self.rows(0, len(self))

    def rows(self, start: int, stop: int) -> pl.DataFrame:
        """Some successive rows with their ids as text: user_id, item_id, timestamp."""
        part = slice(start, stop)
        return pl.DataFrame(
            {
                "user_id": self.user_ids.gather(self.users[part]),
                "item_id": self.item_ids.gather(self.items[part]),
                "timestamp": self.timestamps[part],
            }
        )

    def items_of_user(self, user_id: str) -> list[str]:
        """Ids of the items that a user took, in time order; none where there is no such user."""
        user = self.user_ids.index_of(user_id)
        if user is None:
            return []
        start, stop = np.searchsorted(self.users, [user, user + 1])
        return self.item_ids.gather(self.items[start:stop]).to_list()

    def where(self, kept: Bool[np.ndarray, " interactions"]) -> Interactions:
        """Only the interactions that are `kept`, in the same order.

        Raises:
            ValueError: If none is.
        """
        return Interactions(
            self.user_ids,
            self.item_ids,
            self.users[kept],
            self.items[kept],
            self.timestamps[kept],
        )

    def with_positions(self) -> Interactions:
        """The same with places in the user's list as timestamps: 0, 1, 2, ... for every user."""
        return Interactions(
            self.user_ids, self.item_ids, self.users, self.items, positions_in(self.starts)
        )

    def write(self, path: Path) -> None:
        """Write the rows as Parquet: user_id, item_id, timestamp, each id once a row group."""
        schema = pa.schema(
            [("user_id", pa.string()), ("item_id", pa.string()), ("timestamp", pa.int64())]
        )
        with pq.ParquetWriter(
            path, schema, compression="zstd", dictionary_pagesize_limit=DICTIONARY_BYTES
        ) as writer:
            for start in range(0, len(self), ROWS_AT_ONCE):
                writer.write_table(self.rows(start, start + ROWS_AT_ONCE).to_arrow().cast(schema))

    @classmethod
    def read(cls, path: Path) -> Interactions:
        """Read and check what `write` wrote, or any Parquet file with the three columns.

        Raises:
            ValueError: If there is no such file, it is not Parquet, or the table is not accepted.
        """
        try:
            return cls._from_parts(table_parts(path, COLUMNS))
        except UnreadableFileError:
            raise
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def positions_in(
    starts: Int64[np.ndarray, " users_and_one"],
) -> Int64[np.ndarray, " interactions"]:
    """The place of every interaction in its user's list, of users end to end."""
    return np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts))


def _check_columns(table: pl.DataFrame) -> None:
    schema = table.schema
    for name, dtype in COLUMNS.items():
        if name not in schema:
            raise ValueError(
                f"interactions have no column {name!r}: needed are {', '.join(COLUMNS)}, "
                f"got {', '.join(schema) or 'none'}"
            )
        if schema[name] != dtype:
            raise ValueError(
                f"column {name!r} of the interactions is {schema[name]}: cast it to {dtype}"
            )


def _check_rows(table: pl.DataFrame, first_row: int) -> None:
    for name in COLUMNS:
        if table[name].null_count():
            row = first_row + (table[name].is_null().arg_max() or 0)
            raise ValueError(
                f"column {name!r} is null in row {row} of the interactions: drop the row"
            )
    for name in ("user_id", "item_id"):
        if (empty := table[name] == "").any():
            row = first_row + (empty.arg_max() or 0)
            raise ValueError(
                f"column {name!r} is empty in row {row} of the interactions: "
                "give it an id or drop the row"
            )


def _is_in_order(
    users: Int32[np.ndarray, " interactions"], timestamps: Int64[np.ndarray, " interactions"]
) -> bool:
    same_user = users[1:] == users[:-1]
    in_time = timestamps[1:] >= timestamps[:-1]
    return bool(((users[1:] > users[:-1]) | (same_user & in_time)).all())
