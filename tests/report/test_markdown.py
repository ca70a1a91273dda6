"""Tables and cells of Markdown."""

from beamwise.report.markdown import in_cell, table


def test_a_table_has_its_first_column_to_the_left():
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_other_columns_may_be_to_the_left():
    assert table(("a", "b", "c"), [], left={0, 2}).splitlines()[1] == "| --- | ---: | --- |"


def test_a_cell_does_not_end_early():
    assert in_cell("a|b\n c") == "a\\|b c"
