"""Interactions: order, checks, files."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data import parquet_files
from beamwise.data.interactions import Interactions


def table(rows: list[tuple[str | None, str | None, int | None]]) -> pl.DataFrame:
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_canonical_order():  # users as they first appear, then time, then the original order
    rows = [("b", "x", 5), ("a", "y", 9), ("b", "z", 1), ("a", "w", 9), ("b", "y", 1)]
    ordered = Interactions.from_table(table(rows)).table.rows()
    assert ordered == [
        ("b", "z", 1),
        ("b", "y", 1),
        ("b", "x", 5),
        ("a", "y", 9),
        ("a", "w", 9),
    ]


def test_sizes():
    interactions = Interactions.from_table(table([("a", "x", 0), ("a", "x", 1), ("b", "y", 0)]))
    assert (len(interactions), interactions.num_users, interactions.num_items) == (3, 2, 2)


def test_positions_take_the_place_of_times():
    taken = Interactions.from_table(table([("b", "x", 5), ("a", "y", 9), ("b", "z", 1)]))
    placed = taken.with_positions()
    assert placed.table.rows() == [("b", "z", 0), ("b", "x", 1), ("a", "y", 0)]
    assert taken.timestamps.tolist() == [1, 5, 9]


def test_other_columns_are_dropped():
    given = table([("a", "x", 0)]).with_columns(rating=pl.lit(5.0))
    assert Interactions.from_table(given).table.columns == ["user_id", "item_id", "timestamp"]


def test_round_trip(tmp_path):
    interactions = Interactions.from_table(table([("b", "x", 5), ("a", "y", 9), ("b", "z", 1)]))
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
        Interactions.from_table(given)
    assert "\n" not in str(caught.value)


RAGGED = [("b", "x", 5), ("a", "y", 9), ("b", "z", 1), ("a", "w", 9), ("b", "y", 1)]
rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(-3, 3)), min_size=1
)


@given(rows=rows)
def test_order_equals_a_naive_sort(rows):
    users = list(dict.fromkeys(user for user, _, _ in rows))
    expected = sorted(rows, key=lambda row: (users.index(row[0]), row[2]))  # sorted is stable
    interactions = Interactions.from_table(table(rows))
    assert interactions.table.rows() == expected
    assert interactions.user_ids.to_list() == users
    starts = interactions.starts.tolist()
    for user, start, stop in zip(users, starts, starts[1:], strict=False):
        assert interactions.rows(start, stop)["user_id"].unique().to_list() == [user]
        items = [item for owner, item, _ in expected if owner == user]
        assert interactions.items_of_user(user) == items


def test_ids_are_held_once_and_only_those_named():
    interactions = Interactions(
        pl.Series(["unseen", "a", "b"]),
        pl.Series(["x", "unseen", "y"]),
        np.array([2, 1, 2], dtype=np.int32),
        np.array([0, 2, 2], dtype=np.int32),
        np.array([7, 7, 3]),
    )
    assert interactions.table.rows() == [("b", "y", 3), ("b", "x", 7), ("a", "y", 7)]
    assert interactions.user_ids.to_list() == ["b", "a"]
    assert interactions.item_ids.to_list() == ["x", "y"]


def test_items_of_nobody():
    assert Interactions.from_table(table(RAGGED)).items_of_user("nobody") == []


def test_where_keeps_order_and_drops_ids():
    interactions = Interactions.from_table(table(RAGGED))
    kept = interactions.where(np.array([False, True, True, False, False]))
    assert kept.table.rows() == [("b", "y", 1), ("b", "x", 5)]
    assert (kept.num_users, kept.item_ids.to_list()) == (1, ["x", "y"])
    with pytest.raises(ValueError, match="interactions have no rows"):
        interactions.where(np.zeros(5, dtype=bool))


def test_a_file_holds_ids_once(tmp_path):
    num = 20_000
    users = pl.Series([f"a-user-with-a-long-name-{row % 50}" for row in range(num)])
    rows = pl.DataFrame({"user_id": users, "item_id": users, "timestamp": range(num)})
    Interactions.from_table(rows).write(tmp_path / "some.parquet")
    group = pq.ParquetFile(tmp_path / "some.parquet").metadata.row_group(0)
    assert all("RLE_DICTIONARY" in group.column(column).encodings for column in (0, 1))
    assert all(group.column(column).total_uncompressed_size < 3 * num for column in (0, 1))


@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int8(), pa.string())])
def test_any_parquet_with_the_columns_is_read(tmp_path, monkeypatch, use_dictionary, kind):
    monkeypatch.setattr(parquet_files, "ROWS_AT_ONCE", 2)
    given = table(RAGGED)
    written = given.with_columns(other=1).to_arrow()
    written = written.set_column(0, "user_id", written.column("user_id").cast(kind))
    pq.write_table(written, tmp_path / "any.parquet", use_dictionary=use_dictionary)
    read = Interactions.read(tmp_path / "any.parquet")
    assert read.table.equals(Interactions.from_table(given).table)


def test_rows_of_later_parts_are_numbered_on(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "ROWS_AT_ONCE", 2)
    table([("a", "x", 0), ("a", "y", 1), ("b", None, 0)]).write_parquet(tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match=r"bad.parquet: column 'item_id' is null in row 2"):
        Interactions.read(tmp_path / "bad.parquet")


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
