"""The interactions table: who took which item, and when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

COLUMNS = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}


@dataclass(frozen=True, eq=False)
class Interactions:
    """A checked table of interactions in canonical order.

    The order is: users as they first appear in the table given, each user's rows by timestamp, and
    rows of equal timestamp as they stood. Columns other than the three are dropped; a row that
    stands twice counts twice.

    Raises:
        ValueError: If a column is missing or of another type, a value is null, an id is empty, or
            there are no rows.
    """

    table: pl.DataFrame
    """user_id String, item_id String, timestamp Int64 (any unit, the same for all rows)."""

    def __post_init__(self) -> None:
        _check(self.table)
        object.__setattr__(self, "table", _in_order(self.table))

    def __len__(self) -> int:
        return self.table.height

    @property
    def num_users(self) -> int:
        """Distinct users."""
        return self.table["user_id"].n_unique()

    @property
    def num_items(self) -> int:
        """Distinct items that somebody took."""
        return self.table["item_id"].n_unique()

    def write(self, path: Path) -> None:
        """Write the table as Parquet."""
        self.table.write_parquet(path)

    @classmethod
    def read(cls, path: Path) -> Interactions:
        """Read and check what `write` wrote, or any Parquet file with the three columns.

        Raises:
            ValueError: If there is no such file, it is not Parquet, or the table is not accepted.
        """
        table = read_table(path)
        try:
            return cls(table)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def read_table(path: Path) -> pl.DataFrame:
    """Read a Parquet file.

    Raises:
        ValueError: One line, if there is no such file or it is not Parquet.
    """
    if not path.is_file():
        raise ValueError(f"no file at {path}: run `beamwise prepare` to make the dataset")
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        raise ValueError(
            f"{path} is not readable as Parquet ({reason}): run `beamwise prepare` again"
        ) from None


def _check(table: pl.DataFrame) -> None:
    for name, dtype in COLUMNS.items():
        if name not in table.columns:
            raise ValueError(
                f"interactions have no column {name!r}: needed are {', '.join(COLUMNS)}, "
                f"got {', '.join(table.columns) or 'none'}"
            )
        if table.schema[name] != dtype:
            raise ValueError(
                f"column {name!r} of the interactions is {table.schema[name]}: cast it to {dtype}"
            )
        if table[name].null_count():
            row = table[name].is_null().arg_max()
            raise ValueError(
                f"column {name!r} is null in row {row} of the interactions: drop the row"
            )
    if table.is_empty():
        raise ValueError("interactions have no rows: at least one is needed")
    for name in ("user_id", "item_id"):
        if (empty := table[name] == "").any():
            raise ValueError(
                f"column {name!r} is empty in row {empty.arg_max()} of the interactions: "
                "give it an id or drop the row"
            )


def _in_order(table: pl.DataFrame) -> pl.DataFrame:
    return (
        table.lazy()
        .select(*COLUMNS)
        .with_row_index("row")
        .with_columns(first_row=pl.col("row").min().over("user_id"))
        .sort("first_row", "timestamp", "row")
        .select(*COLUMNS)
        .collect()
    )
