"""Times as whole numbers: numbers as they stand, dates and times as microseconds since 1970."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl

NUMBER, ISO = "number", "iso"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
QUICK_ISO = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
"""What polars reads by itself, some twenty times as fast as Python."""
INT64 = range(-(2**63), 2**63)


def check_timestamp_format(timestamp_format: str) -> str:
    """The format, if it is one: number, iso, or a pattern of Python's `strptime`.

    Raises:
        ValueError: If it is none.
    """
    if timestamp_format in (NUMBER, ISO):
        return timestamp_format
    example = datetime(2001, 2, 3, 4, 5, 6)
    try:
        is_pattern = "%" in timestamp_format
        datetime.strptime(example.strftime(timestamp_format), timestamp_format)
    except (ValueError, re.error):
        is_pattern = False
    if not is_pattern:
        raise ValueError(
            f"timestamp_format {timestamp_format!r} is not known: give number, iso, or a pattern "
            "such as %d/%m/%Y"
        )
    return timestamp_format


def expected(timestamp_format: str) -> str:
    """What a message says is expected."""
    if timestamp_format == NUMBER:
        return "a whole number of 64 bits"
    return "an ISO date or time" if timestamp_format == ISO else f"a time like {timestamp_format!r}"


def parse_timestamps(values: pl.Series, timestamp_format: str) -> pl.Series:
    """Int64 times, null where a value is not what the format says.

    Texts are numbers (whole; 123.0 and 1.5e9 are), ISO dates or times, or what the pattern tells;
    dates and times are microseconds since 1970-01-01 UTC, and UTC where they have no zone. Columns
    that hold numbers or times already are read as such, whatever the format.
    """
    if values.dtype == pl.String:
        texts = values.str.strip_chars()
        if timestamp_format == NUMBER:
            return _whole_texts(texts)
        if timestamp_format == ISO:
            return _iso(texts)
        return _one_by_one(texts, lambda text: _microseconds(_by(text, timestamp_format)))
    if isinstance(values.dtype, pl.Datetime):
        return values.cast(pl.Datetime("us"), strict=False).to_physical()
    if values.dtype.is_float():
        inside = (
            values.is_finite()
            & values.is_between(-(2.0**63), 2.0**63, closed="left")
            & (values == values.floor())
        )
        return values.set(~inside.fill_null(value=False), None).cast(pl.Int64)
    if values.dtype.is_integer():
        return values.cast(pl.Int64, strict=False)
    return pl.Series(values.name, [None] * len(values), dtype=pl.Int64)


def _whole_texts(texts: pl.Series) -> pl.Series:
    trimmed = texts.str.replace(r"^([+-]?[0-9]+)\.0*$", "$1")
    plain = trimmed.set(~trimmed.str.contains(r"^[+-]?[0-9]+$").fill_null(value=False), None)
    return _rest(texts, plain.str.strip_prefix("+").cast(pl.Int64, strict=False), _whole)


def _whole(text: str) -> int | None:
    if not DECIMAL.fullmatch(text):
        return None
    number = Decimal(text)
    if number.adjusted() > 19 or number != number.to_integral_value():
        return None
    return int(number) if int(number) in INT64 else None


def _iso(texts: pl.Series) -> pl.Series:
    found = pl.Series(texts.name, [None] * len(texts), dtype=pl.Datetime("us"))
    for pattern in QUICK_ISO:
        if found.null_count():
            found = found.zip_with(
                found.is_not_null(),
                texts.str.to_datetime(pattern, time_unit="us", strict=False),
            )
    return _rest(
        texts, found.to_physical(), lambda text: _microseconds(datetime.fromisoformat(text))
    )


def _by(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern)


def _microseconds(time: datetime) -> int:
    zoned = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (zoned - EPOCH) // MICROSECOND


def _rest(texts: pl.Series, found: pl.Series, parse: Callable[[str], int | None]) -> pl.Series:
    """`found`, and where it is null what `parse` gives."""
    lacking = found.is_null()
    if not lacking.any():
        return found
    return found.scatter(lacking.arg_true(), _one_by_one(texts.filter(lacking), parse))


def _one_by_one(texts: pl.Series, parse: Callable[[str], int | None]) -> pl.Series:
    """What `parse` gives for each distinct text; null where it raises ValueError."""
    distinct = texts.unique()
    numbers = [None if text is None else _parsed(text, parse) for text in distinct]
    return texts.replace_strict(distinct, pl.Series(numbers, dtype=pl.Int64), return_dtype=pl.Int64)


def _parsed(text: str, parse: Callable[[str], int | None]) -> int | None:
    try:
        return parse(text)
    except (ValueError, OverflowError):
        return None
