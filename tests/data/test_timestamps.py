"""Times: numbers as Python reads them, dates as Python reads them, nothing else."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.timestamps import ISO, NUMBER, check_timestamp_format, parse_timestamps

DAY = 86_400_000_000
"""Microseconds."""


def parsed(values: list, timestamp_format: str = NUMBER, dtype=pl.String) -> list[int | None]:
    found = parse_timestamps(pl.Series("t", values, dtype=dtype), timestamp_format)
    assert found.dtype == pl.Int64
    return found.to_list()


def test_whole_numbers_golden():
    texts = ["12", " -3 ", "+4", "123.0", "5.", "1.5e9", "2E2", "-0", "9223372036854775807"]
    expected = [12, -3, 4, 123, 5, 1_500_000_000, 200, 0, 2**63 - 1]
    assert parsed(texts) == expected
    assert [parsed([text])[0] for text in texts] == expected


@pytest.mark.parametrize(
    "text",
    ["", "nan", "inf", "-Infinity", "1.5", "1e-1", "9223372036854775808", "1e19", "1e9999", "1_0",
     "0x10", "1 2", "٣", "12:30", "2020-01-01", "--1", "+-1", None],
)  # fmt: skip
def test_no_whole_numbers(text):
    assert parsed([text]) == [None]
    assert parsed(["7", text, "8.0"]) == [7, None, 8]


digits = st.text("0123456789.eE+-_ n", max_size=8)


@given(texts=st.lists(digits, min_size=1))
def test_whole_numbers_equal_decimal(texts):
    def naive(text: str) -> int | None:
        try:
            number = Decimal(text.strip()) if "_" not in text else Decimal("NaN")
        except InvalidOperation:
            return None
        if not number.is_finite() or number.adjusted() > 20 or number != int(number):
            return None
        return int(number) if -(2**63) <= int(number) < 2**63 else None

    assert parsed(texts) == [naive(text) for text in texts]


def test_native_numbers():
    assert parsed([1, None, -5], dtype=pl.Int32) == [1, None, -5]
    assert parsed([1, 2**63], dtype=pl.UInt64) == [1, None]
    floats = [1.0, 1.5, float("nan"), float("inf"), -(2.0**63), 2.0**63, None]
    assert parsed(floats, dtype=pl.Float64) == [1, None, None, None, -(2**63), None, None]
    assert parsed([True], dtype=pl.Boolean) == [None]
    assert parsed([None], dtype=pl.Null) == [None]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_native_times_whatever_the_format(unit):
    assert parsed([datetime(1970, 1, 2), None], dtype=pl.Datetime(unit)) == [DAY, None]


def test_iso_golden():
    texts = ["1970-01-02", "1970-01-02T00:00:01", "1970-01-02 00:00:01.5", "1970-01-02T01:00+01:00",
             "1970-01-02T00:00:00Z", " 1969-12-31 "]  # fmt: skip
    assert parsed(texts, ISO) == [DAY, DAY + 10**6, DAY + 15 * 10**5, DAY, DAY, -DAY]


@given(
    times=st.lists(
        st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=-7))]))
        | st.dates(),
        min_size=1,
    ),
    separator=st.sampled_from("T "),
)
def test_iso_equals_python(times, separator):
    def written(time: date) -> str:
        return time.isoformat(separator) if isinstance(time, datetime) else time.isoformat()

    def naive(time: date) -> int:
        time = time if isinstance(time, datetime) else datetime(time.year, time.month, time.day)
        zoned = time if time.tzinfo else time.replace(tzinfo=UTC)
        return (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    assert parsed([written(time) for time in times], ISO) == [naive(time) for time in times]


@pytest.mark.parametrize("text", ["", "today", "2020-13-01", "2021-02-29", "1600000000.5", None])
def test_no_iso(text):
    assert parsed([text, "1970-01-02"], ISO) == [None, DAY]


def test_a_pattern_of_strptime():
    texts = ["02/01/1970 00:00:01", "03/01/1970 00:00:00", "1970", None]
    assert parsed(texts, "%d/%m/%Y %H:%M:%S") == [DAY + 10**6, 2 * DAY, None, None]
    assert parsed(["02.01.1970 01:00:00.25 +0100"], "%d.%m.%Y %H:%M:%S.%f %z") == [DAY + 250_000]


@pytest.mark.parametrize("timestamp_format", [NUMBER, ISO, "%d/%m/%Y", "%Y%m%dT%H"])
def test_formats(timestamp_format):
    assert check_timestamp_format(timestamp_format) == timestamp_format


@pytest.mark.parametrize("timestamp_format", ["", "seconds", "%Q", "%", "%Y %", "\0%Y"])
def test_no_formats(timestamp_format):
    with pytest.raises(ValueError, match="is not known: give number, iso, or a pattern"):
        check_timestamp_format(timestamp_format)
