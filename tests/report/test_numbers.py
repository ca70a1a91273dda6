"""Numbers as reports write them."""

import math

import pytest

from beamwise.report.numbers import (
    cell_text,
    count,
    decimal,
    duration,
    interval_text,
    p_text,
    parts_of,
    percent,
    plain,
    signed,
)
from beamwise.report.section import Estimate


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (0.063, ".0630", "+.0630"),
        (-0.00123, "-.0012", "-.0012"),
        (-0.00001, ".0000", ".0000"),
        (0.0, ".0000", ".0000"),
        (1.0, "1.0000", "+1.0000"),
    ],
)
def test_decimals(value, plain, with_sign):
    assert decimal(value) == plain
    assert signed(value) == with_sign


def test_p_values_are_bounds_where_they_are_small():
    assert [p_text(p) for p in (0.0004, 0.0123, 0.0499, 0.25, 1.0)] == [
        "< .001",
        ".012",
        ".050",
        ".25",
        "1.00",
    ]


def test_durations():
    times = (None, 0.0, 0.0031, 0.14, 3.0, 119.0, 600.0, 9000.0)
    shown = [duration(seconds) for seconds in times]
    assert shown == ["-", "0 ms", "3.1 ms", "140 ms", "3.0 s", "119.0 s", "10.0 min", "2.5 h"]
    assert [duration(-0.14), duration(-600.0)] == ["-140 ms", "-10.0 min"]


def test_shares_counts_and_intervals():
    assert percent(0.2304) == "23.0 %"
    assert [count(4905.0), count(12.5)] == ["4,905", "12.5"]
    assert interval_text(0.05, 0.2, decimal) == "[.0500, .2000]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4, "0.4"),
        (12345.6, "12,346"),
        (10.0, "10"),
        (0.12345, "0.1235"),
        (0.001, "0.001"),
        (5e-5, "5e-5"),
        (-1.25e-10, "-1.25e-10"),
        (-0.0, "0"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_plain_numbers(value, text):
    assert plain(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "metric", "-"),
        ("no value in the paper", "metric", "no value in the paper"),
        (0.071, "metric", ".0710"),
        (1, "metric", "1.0000"),
        (Estimate(mean=0.071, low=0.069, high=0.073), "metric", ".0710 [.0690, .0730]"),
        (Estimate(mean=0.071), "metric", ".0710"),
        (
            Estimate(mean=0.0018, low=-0.0004, high=0.004),
            "difference",
            "+.0018 [-.0004, +.0040]",
        ),
        (0.25, "share", "25.0 %"),
        (90, "seconds", "90.0 s"),
        (0.0004, "p", "< .001"),
        (1234567, "count", "1,234,567"),
        (5e-5, "number", "5e-5"),
        (20, "text", "20"),
    ],
)
def test_cells_are_written_by_their_unit(value, unit, text):
    assert cell_text(value, unit) == text


def test_an_interval_can_stand_apart():
    assert parts_of(Estimate(mean=0.5, low=0.25, high=0.75), "share") == (
        "50.0 %",
        "[25.0 %, 75.0 %]",
    )
    assert parts_of(0.5, "share") == ("50.0 %", "")
