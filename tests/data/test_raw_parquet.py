"""Types of Parquet: those that stay, those that become text, those that are refused."""

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beamwise.data.raw_parquet import parquet_header, read_parquet_batches

NOON = datetime(2020, 1, 2, 12)


def values(path, array: pa.Array, **settings) -> list:
    pq.write_table(pa.table({"x": array, "other": array}), path / "a.parquet")
    assert parquet_header(path / "a.parquet") == ["x", "other"]
    (batch,) = read_parquet_batches(path / "a.parquet", ["x"], **settings)
    assert (batch.first_row, batch.table.columns) == (1, ["x"])
    return batch.table["x"].to_list()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array(["a", None]), ["a", None]),
        (pa.array(["a"], pa.large_string()), ["a"]),
        (pa.array(["a"], pa.string_view()), ["a"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.nulls(2), [None, None]),
        (pa.array([1, None], pa.uint64()), [1, None]),
        (pa.array([1.5], pa.float16()), [1.5]),
        (pa.array([True]), [True]),
        (pa.array([NOON], pa.timestamp("s")), [NOON]),
        (pa.array([NOON], pa.timestamp("ns")), [NOON]),
        (pa.array([NOON], pa.timestamp("us", "+02:00")), [NOON]),
        (pa.array([NOON], pa.timestamp("us", "Not/AZone")), [NOON]),
        (pa.array([date(2020, 1, 2)]), [datetime(2020, 1, 2)]),
        (pa.array([date(2020, 1, 2)], pa.date64()), [datetime(2020, 1, 2)]),
    ],
)
def test_types_that_are_read(tmp_path, array, expected):
    assert values(tmp_path, array) == expected


@pytest.mark.parametrize(
    "array",
    [
        pa.array([b"a"]),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([Decimal(1)], pa.decimal256(50, 2)),
        pa.array([1], pa.duration("s")),
        pa.array([1], pa.time64("us")),
    ],
)
def test_types_that_are_not(tmp_path, array):
    with pytest.raises(ValueError, match=r"a.parquet has the column 'x' of type .*: write text"):
        values(tmp_path, array)
    assert values(tmp_path, array, text_of=lambda value: type(value).__name__) != [None]


def test_text_that_is_not_utf8(tmp_path):
    with pytest.raises(ValueError, match=r"a.parquet is not readable as Parquet .*UTF8"):
        values(tmp_path, pa.array([b"\xff"]).view(pa.string()))
