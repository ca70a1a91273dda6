"""Texts of items."""

import pytest

from beamwise.data.item_texts import as_text, clean_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Pens &amp; 14&quot; ink", 'Pens & 14" ink'),
        (" two\n\tlines ", "two lines"),
        ("&nbsp;", None),
        ("  ", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_clean_text(value, expected):
    assert clean_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a &lt; b", "a < b"),
        (None, None),
        (5, "5"),
        (True, "true"),
        (["Office", ["Desk  lamps", None]], "Office, Desk lamps"),
        ([None, ""], None),
        ({"a": [1, "ü"]}, '{"a": [1, "ü"]}'),
    ],
)
def test_as_text(value, expected):
    assert as_text(value) == expected
