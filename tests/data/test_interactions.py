"""Interactions: order, checks, files."""

import polars as pl
import pytest

from beamwise.data.interactions import Interactions


def table(rows: list[tuple[str | None, str | None, int | None]]) -> pl.DataFrame:
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_canonical_order():  # users as they first appear, then time, then the original order
    rows = [("b", "x", 5), ("a", "y", 9), ("b", "z", 1), ("a", "w", 9), ("b", "y", 1)]
    ordered = Interactions(table(rows)).table.rows()
    assert ordered == [
        ("b", "z", 1),
        ("b", "y", 1),
        ("b", "x", 5),
        ("a", "y", 9),
        ("a", "w", 9),
    ]


def test_sizes():
    interactions = Interactions(table([("a", "x", 0), ("a", "x", 1), ("b", "y", 0)]))
    assert (len(interactions), interactions.num_users, interactions.num_items) == (3, 2, 2)


def test_other_columns_are_dropped():
    given = table([("a", "x", 0)]).with_columns(rating=pl.lit(5.0))
    assert Interactions(given).table.columns == ["user_id", "item_id", "timestamp"]


def test_round_trip(tmp_path):
    interactions = Interactions(table([("b", "x", 5), ("a", "y", 9), ("b", "z", 1)]))
    interactions.write(tmp_path / "interactions.parquet")
    read = Interactions.read(tmp_path / "interactions.parquet")
    assert read.table.equals(interactions.table)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (table([("a", "x", 0)]).drop("item_id"), "no column 'item_id'.*got user_id, timestamp"),
        (pl.DataFrame(), "no column 'user_id'.*got none"),
        (table([("a", "x", 0)]).cast({"timestamp": pl.Float64}), "'timestamp'.*cast it to Int64"),
        (table([("a", "x", 0), ("a", None, 1)]), "'item_id' is null in row 1.*drop the row"),
        (table([("a", "x", 0), ("", "x", 1)]), "'user_id' is empty in row 1"),
        (table([]), "no rows"),
    ],
)
def test_refused(given, message):
    with pytest.raises(ValueError, match=message) as caught:
        Interactions(given)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(ValueError, match=r"no file at .*absent.parquet: run `beamwise prepare`"):
        Interactions.read(tmp_path / "absent.parquet")
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(ValueError, match=r"text.parquet is not readable as Parquet") as caught:
        Interactions.read(tmp_path / "text.parquet")
    assert "\n" not in str(caught.value)


def test_a_bad_table_names_its_file(tmp_path):
    table([("", "x", 0)]).write_parquet(tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match=r"bad.parquet: column 'user_id' is empty"):
        Interactions.read(tmp_path / "bad.parquet")
