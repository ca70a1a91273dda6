"""Numbers as the report writes them."""

import pytest

from beamwise.evaluation.significance import Interval
from beamwise.report.objective_comparison_text import (
    decimal,
    duration,
    interval_text,
    p_text,
    percent,
    signed,
    table,
)


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
    shown = [duration(seconds) for seconds in (None, 3.0, 119.0, 600.0, 9000.0)]
    assert shown == ["-", "3.0 s", "119.0 s", "10.0 min", "2.5 h"]


def test_tables_and_shares():
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert percent(0.2304) == "23.0 %"
    assert interval_text(Interval(0.1, 0.05, 0.2, None, 1, False), decimal) == "[.0500, .2000]"
