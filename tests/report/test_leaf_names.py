import pytest

from beamwise.report.leaf_names import leaf_names


@pytest.mark.parametrize(
    ("are_titles", "name"),
    [
        ([False, False], "semantic ID"),
        ([True], "title"),
        ([True, False, True], "semantic ID or title"),
    ],
)
def test_golden(are_titles, name):
    assert leaf_names(are_titles) == name
