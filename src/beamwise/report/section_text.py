"""A section of a report as Markdown, and its tables as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from beamwise.report.markdown import in_cell
from beamwise.report.markdown import table as markdown_table
from beamwise.report.numbers import cell_text
from beamwise.report.section import Chart, Column, Estimate, Section, Table, Value


def section_markdown(section: Section, pictures: Mapping[str, str] = {}) -> str:
    """The whole section; a chart without a picture is left out.

    Args:
        section: What to say.
        pictures: Where the picture of each chart is, by the chart's name.
    """
    parts = [f"# {section.title}", section.setting, _list(section.findings)]
    parts += [part for table in section.tables for part in _table(table)]
    drawn = [chart for chart in section.charts if chart.name in pictures]
    parts += [part for chart in drawn for part in _chart(chart, pictures[chart.name])]
    parts += ["## Method", *section.method] if section.method else []
    parts += ["## Missing", _list(section.missing)] if section.missing else []
    parts += ["## Made by", _list(section.made_by)] if section.made_by else []
    parts += ["Made again by", f"    {section.command}"] if section.command else []
    return "\n\n".join(part for part in parts if part) + "\n"


def table_csv(table: Table) -> str:
    """Raw numbers at full precision.

    A column with intervals becomes three: NAME, NAME low, NAME high. None is an empty cell, and
    so are words in a column of numbers.
    """
    wide = [
        any(isinstance(row[place], Estimate) for row in table.rows)
        for place in range(len(table.columns))
    ]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        name
        for column, is_wide in zip(table.columns, wide, strict=True)
        for name in _csv_names(column, is_wide=is_wide)
    )
    for row in table.rows:
        writer.writerow(
            number
            for value, column, is_wide in zip(row, table.columns, wide, strict=True)
            for number in _csv_numbers(value, column, is_wide=is_wide)
        )
    return text.getvalue()


def full_name(column: Column) -> str:
    """The name of a column, after that of its group: R@10 ours."""
    return f"{column.group} {column.name}".strip()


def _csv_names(column: Column, *, is_wide: bool) -> list[str]:
    name = full_name(column)
    return [name, f"{name} low", f"{name} high"] if is_wide else [name]


def _csv_numbers(value: Value, column: Column, *, is_wide: bool) -> list[str | int | float | None]:
    if isinstance(value, Estimate):
        return [value.mean, value.low, value.high]
    if isinstance(value, str) and column.unit != "text":
        value = None
    return [value, None, None] if is_wide else [value]


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(table: Table) -> Iterator[str]:
    header = [in_cell(full_name(column)) for column in table.columns]
    left = {0, *(place for place, column in enumerate(table.columns) if column.unit == "text")}
    rows = [
        [
            in_cell(cell_text(value, column.unit))
            for value, column in zip(row, table.columns, strict=True)
        ]
        for row in table.rows
    ]
    yield f"## {table.title}"
    yield markdown_table(header, rows, left)
    yield table.note


def _chart(chart: Chart, picture: str) -> Iterator[str]:
    yield f"## {chart.title}"
    yield f"![{chart.title}]({picture})"
    yield chart.note
