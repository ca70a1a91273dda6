"""Messages about a user's file."""

from pathlib import Path

from beamwise.data.bad_input import MOST_SHOWN, bad_file, bad_value, shown


def test_a_value_is_told_with_its_place_and_the_fix():
    error = bad_value(Path("a.csv"), 3, "when", "soon", "a whole number", "drop the row")
    expected = "a.csv, row 3, column 'when': 'soon' is not a whole number: drop the row"
    assert (type(error), str(error)) == (ValueError, expected)


def test_a_file_is_told_with_the_fix():
    assert str(bad_file(Path("a.csv"), "is empty", "add rows")) == "a.csv is empty: add rows"


def test_values_are_shown_on_one_line_and_cut():
    assert shown(None) == "null"
    assert shown("a\nb") == r"'a\nb'"
    assert shown("x" * (MOST_SHOWN - 2)) == repr("x" * (MOST_SHOWN - 2))
    assert shown("x" * 1000) == repr("x" * 1000)[:MOST_SHOWN] + "..."
