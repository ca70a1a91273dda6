"""A section as Markdown and its tables as CSV, character by character."""

import csv
from io import StringIO

from beamwise.report.section import NO_VALUE, Column, Estimate, Section, Table
from beamwise.report.section_text import full_name, section_markdown, table_csv

MARKDOWN = """\
# Table 1: methods & <backbones>

Office, TIGER

- MSL gains +.0088.
- p < .001 & so on

## Quality

| method | R@20 paper | R@20 ours | p | says |
| --- | ---: | ---: | ---: | --- |
| CE | .0631 | .0710 [.0690, .0730] | - | as "printed", <b> |
| MSL \\| legal | - | .0798 | < .001 | no value in the paper |

Mean and 95 % interval.

## Quality <of> methods

![Quality <of> methods](table1-quality.png)

Higher & better.

## Method

All with the same `schedule`.

Five seeds.

## Missing

- DPO: seed 4

## Made by

- code 888a602
- one core, seeds 0 to 4

Made again by

    beamwise reproduce table1 --seeds 5
"""


def test_markdown_of_every_part(full_section):
    assert section_markdown(full_section, {"quality": "table1-quality.png"}) == MARKDOWN


def test_a_chart_without_a_picture_is_left_out(full_section):
    text = section_markdown(full_section, {"another": "a.png"})
    assert "![" not in text
    assert "Higher & better" not in text


def test_an_empty_section_is_its_title():
    assert section_markdown(Section(name="s", title="Nothing yet")) == "# Nothing yet\n"


def test_csv_has_raw_numbers_and_the_ends_of_intervals(full_section):
    assert table_csv(full_section.tables[0]) == (
        "method,R@20 paper,R@20 ours,R@20 ours low,R@20 ours high,p,says\n"
        'CE,0.0631,0.071,0.06899999999999999,0.073,,"as ""printed"", <b>"\n'
        'MSL | legal,,0.0798,,,0.0004,"no value\nin the paper"\n'
    )


def test_csv_loses_no_digit():
    columns = (Column(name="a,b", unit="number"), Column(name="n", unit="count"))
    third = Estimate(mean=1 / 3, low=-1e-17, high=2 / 3)
    table = Table(name="t", title="", columns=columns, rows=((third, 12345678901234567),))
    header, row = csv.reader(StringIO(table_csv(table)))
    assert header == ["a,b", "a,b low", "a,b high", "n"]
    assert [float(cell) for cell in row[:3]] == [1 / 3, -1e-17, 2 / 3]
    assert row[3] == "12345678901234567"


def test_csv_has_no_words_in_a_column_of_numbers():
    columns = (Column(name="method"), Column(name="paper", unit="metric"))
    table = Table(name="t", title="", columns=columns, rows=(("ce", NO_VALUE), ("msl", 0.5)))
    assert table_csv(table) == "method,paper\nce,\nmsl,0.5\n"
    assert "| ce | no value |" in section_markdown(Section(name="s", title="S", tables=(table,)))


def test_a_column_bears_the_name_of_its_group():
    assert full_name(Column(name="ours", group="R@20")) == "R@20 ours"
    assert full_name(Column(name="method")) == "method"
