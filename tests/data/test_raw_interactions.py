"""Rows to interactions: by hand, against a naive loop, and every kind of bad row."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.raw_batches import RawBatch
from beamwise.data.raw_interactions import Rules, gather

PATH = Path("taken.csv")
ROWS = [
    ("b", "x", "5"), ("a", "y", "9"), ("b", "x", "5.0"), ("b", "x", "1"), ("a", "y", "9"),
    ("b", "y", "2"),
]  # fmt: skip


def batches(rows: list[tuple], at_once: int = 2, columns=("user_id", "item_id", "timestamp")):
    table = pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
    for start in range(0, len(rows), at_once):
        yield RawBatch(start + 1, table[start : start + at_once])


def test_golden():  # rows 3 and 5 repeat rows 1 and 2; b's earliest x is row 4
    gathered = gather(batches(ROWS), PATH, Rules())
    kept = [("b", "x", 1), ("b", "y", 2), ("b", "x", 5), ("a", "y", 9)]
    assert gathered.interactions.table.rows() == kept
    assert (gathered.num_rows, gathered.num_dropped) == (6, 2)
    everything = gather(batches(ROWS), PATH, Rules(duplicates="keep"))
    assert (len(everything.interactions), everything.num_dropped) == (6, 0)
    first = gather(batches(ROWS), PATH, Rules(duplicates="first"))
    assert first.interactions.table.rows() == [("b", "x", 1), ("b", "y", 2), ("a", "y", 9)]
    assert first.num_dropped == 3


def test_without_times_rows_are_in_order_and_none_is_equal():
    rows = [row[:2] for row in ROWS]
    gathered = gather(batches(rows, columns=("user_id", "item_id")), PATH, Rules())
    expected = [("b", "x", 0), ("b", "x", 2), ("b", "x", 3), ("b", "y", 5), ("a", "y", 1)]
    assert gathered.interactions.table.rows() == [*expected, ("a", "y", 4)]
    assert gathered.num_dropped == 0


rows = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from("012")), min_size=1
)


@given(rows=rows, at_once=st.integers(1, 4), duplicates=st.sampled_from(["keep", "drop", "first"]))
def test_equals_a_naive_loop(rows, at_once, duplicates):
    users = list(dict.fromkeys(user for user, _, _ in rows))
    kept, seen = [], set()
    for row in sorted(rows, key=lambda row: (users.index(row[0]), row[2])):
        key = {"keep": len(kept), "drop": row, "first": row[:2]}[duplicates]
        if key not in seen:
            kept.append((*row[:2], int(row[2])))
        seen.add(key)
    gathered = gather(batches(rows, at_once), PATH, Rules(duplicates=duplicates))
    assert gathered.interactions.table.rows() == kept
    assert (gathered.num_rows, gathered.num_dropped) == (len(rows), len(rows) - len(kept))


def test_whole_numbers_are_ids():
    gathered = gather(batches([(7, "x", 1), (-8, "x", 1)]), PATH, Rules())
    assert gathered.interactions.user_ids.to_list() == ["7", "-8"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((None, "x", "1"), "column 'who': null is not an id: give it an id or drop the row"),
        (("", "x", "1"), "column 'who': '' is not an id"),
        (("a", " \t", "1"), r"column 'item_id': ' \\t' is not an id"),
        (("a", "x", None), "column 'timestamp': null is not a whole number of 64 bits: correct or"),
        (("a", "x", "NaN"), "'NaN' is not a whole number of 64 bits: correct or drop the row"),
        (("a", "x", "1.5"), "'1.5' is not a whole number"),
        (("a", "x", "1e30"), "'1e30' is not a whole number"),
        (("a", "x", "2020-01-02"), "or set timestamp_format to iso"),
    ],
)
def test_bad_rows(bad, message):
    rules = Rules(columns={"user_id": "who"})
    with pytest.raises(ValueError, match=f"taken.csv, row 7, {'.*' * ('col' not in message)}") as e:
        gather(batches([*ROWS, bad]), PATH, rules)
    assert e.match(message)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("time", "timestamp_format", "message"),
    [
        ("soon", "iso", "'soon' is not an ISO date or time: correct or drop the row"),
        (
            "170000000.0",
            "iso",
            "'170000000.0' is not an ISO date or time: .*, or set timestamp_format to number",
        ),
        ("1/2/20", "%d/%m/%Y", "'1/2/20' is not a time like '%d/%m/%Y'"),
        (1.5, "number", "1.5 is not a whole number"),
        (float("nan"), "number", "nan is not a whole number"),
        (2**63, "iso", "9223372036854775808 is not an ISO date"),
    ],
)
def test_bad_times(time, timestamp_format, message):
    with pytest.raises(ValueError, match=f"taken.csv, row 1, column 'timestamp': {message}"):
        gather(batches([("a", "x", time)]), PATH, Rules(timestamp_format))


def test_ids_that_are_no_text():
    with pytest.raises(ValueError, match="has ids of type Float64 in the column 'user_id': wr"):
        gather(batches([(1.5, "x", 1)]), PATH, Rules())
    with pytest.raises(ValueError, match="column 'user_id': null is not an id: give it"):
        gather(batches([(None, "x", 1)]), PATH, Rules())


def test_no_rows():
    with pytest.raises(ValueError, match=r"taken.csv has no rows: give a file with rows"):
        gather([], PATH, Rules())
