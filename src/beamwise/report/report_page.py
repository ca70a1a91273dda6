"""Sections of a report as one HTML file that opens from disk: no network, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby, pairwise

from beamwise.report.charts import chart_svg
from beamwise.report.inline_svg import INK, in_page
from beamwise.report.method_colours import BLACK, BLUE, GREEN, INDIGO, PINK, SKY, VERMILLION
from beamwise.report.numbers import parts_of
from beamwise.report.page import figure, page, table
from beamwise.report.panels import GREY
from beamwise.report.section import Chart, Column, Section, Table, Value

ON_DARK = {
    INDIGO: "#7a5cff",
    BLUE: "#3b8fe0",
    VERMILLION: "#f0742e",
    GREEN: "#20b98c",
    PINK: "#dd93bd",
    SKY: "#a5dcff",
    GREY: "#a3a3a3",
}
"""Colours of methods and searches that a dark page has brighter, still as far apart."""
VARIABLES = {colour: f"--c{colour[1:].lower()}" for colour in ON_DARK}
IN_PAGE = {colour.lower(): f"var({name})" for colour, name in VARIABLES.items()} | {
    BLACK.lower(): "currentColor"
}
"""What stands for the colours of drawings."""


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"{VARIABLES[each]}: {shown};" for each, shown in colours.items())


STYLE_SHEET = (
    f":root {{ {_variables({each: each for each in ON_DARK})} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(ON_DARK)} }} }}\n"
    """h2 { border-top: 1px solid var(--line); padding-top: 1.6rem; scroll-margin-top: .5rem; }
h3 { margin-top: 1.4rem; } figure h3 { margin-top: 0; }
a { color: inherit; text-decoration-color: var(--mark); text-underline-offset: .15em; }
nav ol { columns: 20rem; column-gap: 2.5rem; margin: .3rem 0; padding-left: 1.6rem; }
nav li { break-inside: avoid; margin: 0; padding-bottom: .3rem; }
ul { margin: .4rem 0; padding-left: 1.3rem; } li { margin: .15rem 0; }
code { font-size: .88em; overflow-wrap: anywhere; }
.panels { grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
.panels { margin-top: 1rem; align-items: start; }
figure { overflow-x: auto; } figcaption { max-width: 40rem; }
figure svg { min-width: 27rem; fill: currentColor; } /* of black, which SVG leaves out */
.missing { border-left: 3px solid var(--mark); padding-left: .8rem; margin: .6rem 0; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--soft); }
.made { margin-top: 1rem; }
table { border-collapse: separate; border-spacing: 0; } /* else a fixed column loses borders */
td { white-space: nowrap; } td small { color: var(--soft); }
th.text, td.text { text-align: left; } td.words { white-space: normal; min-width: 16rem; }
th.group { text-align: center; } .start { border-left: 1px solid var(--line); }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--page); }
.short td { vertical-align: top; text-align: left; } .short ul { margin: 0; }
.short td:first-child { white-space: normal; min-width: 11rem; max-width: 20rem; position: static; }
@media (max-width: 40rem) { .short thead { display: none; } .short table { width: 100%; }
  .short tr { border-bottom: 1px solid var(--line); } .short tr, .short td { display: block; }
  .short td, .short td:first-child { border: 0; padding: .3rem 0; min-width: 0; max-width: none; }
  .short td.lacks:not(:empty)::before { content: "Missing"; color: var(--soft); } }
"""
)
LONG = 40
"""Characters from which a cell of text is written in several lines."""


def report_page(sections: Sequence[Section], title: str, introduction: Sequence[str]) -> str:
    """The whole page.

    Args:
        sections: Shown in this order.
        title: Of the report.
        introduction: Paragraphs before the contents.

    Raises:
        ValueError: If there are no sections, two have the same name and setting, or a chart cannot
            be drawn.
    """
    names = [section.anchor for section in sections]
    if not names:
        raise ValueError("a report needs at least one section: make one first")
    if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(f"two sections are named {repeated[0]}: links need names of their own")
    return page(title, "\n".join(_body(sections, title, introduction)), STYLE_SHEET)


def _body(sections: Sequence[Section], title: str, introduction: Sequence[str]) -> Iterator[str]:
    yield f"<header><h1>{escape(title)}</h1>"
    yield from (f"<p>{_text(paragraph)}</p>" for paragraph in introduction)
    links = "".join(f"<li>{_link(each)}{_place(each)}</li>" for each in sections)
    yield f'</header><nav aria-label="Contents"><h2>Contents</h2><ol>{links}</ol></nav>'
    yield f'<section class="short"><h2>In short</h2>{_in_short(sections)}</section>'
    for section in sections:
        yield from _section(section)


def _link(section: Section) -> str:
    return f'<a href="#{section.anchor}">{escape(section.title)}</a>'


def _place(section: Section) -> str:
    return f' <span class="soft">{_text(section.setting)}</span>' if section.setting else ""


def _in_short(sections: Sequence[Section]) -> str:
    rows = [
        f'<tr><td>{_link(each)}<p class="soft">{_text(each.setting)}</p></td>'
        f'<td class="words">{_list(each.findings)}</td>'
        f'<td class="words lacks">{_list(each.missing)}</td></tr>'
        for each in sections
    ]
    head = "".join(f'<th class="text">{name}</th>' for name in ("", "says", "missing"))
    return table([f"<tr>{head}</tr>"], rows)


def _section(section: Section) -> Iterator[str]:
    yield f'<section><h2 id="{section.anchor}">{escape(section.title)}</h2>'
    yield f'<p class="soft">{_text(section.setting)}</p>' if section.setting else ""
    yield _list(section.findings)
    if section.missing:
        yield f'<div class="missing"><b>Missing</b>{_list(section.missing)}</div>'
    if section.method:
        paragraphs = "".join(f"<p>{_text(paragraph)}</p>" for paragraph in section.method)
        yield f"<details><summary>Method</summary>{paragraphs}</details>"
    yield from map(_table, section.tables)
    if section.charts:
        drawn = "".join(map(_figure, section.charts))
        yield f'<div class="grid panels">{drawn}</div>'
    yield from _made_by(section)
    yield "</section>"


def _made_by(section: Section) -> Iterator[str]:
    if section.made_by or section.command:
        said = "".join(f"<div>{_text(line)}</div>" for line in section.made_by)
        command = f"<code>{escape(section.command)}</code>" if section.command else ""
        yield f'<div class="soft made"><b>Made by</b>{said}{command}</div>'


def _figure(chart: Chart) -> str:
    svg = in_page(chart_svg(chart, INK), chart.title, IN_PAGE)
    return figure(chart.title, svg, chart.note)


def _table(shown: Table) -> str:
    starts = _starts(shown.columns)
    names = [
        f"<th{_class(column, start)}>{escape(column.name)}</th>"
        for column, start in zip(shown.columns, starts, strict=True)
    ]
    head = [f"<tr>{''.join(names)}</tr>"]
    if any(column.group for column in shown.columns):
        head.insert(0, f"<tr>{''.join(_groups(shown.columns))}</tr>")
    rows = [
        "<tr>" + "".join(map(_cell, cells, shown.columns, starts)) + "</tr>" for cells in shown.rows
    ]
    note = f'<p class="soft">{_text(shown.note)}</p>' if shown.note else ""
    return f"<h3>{escape(shown.title)}</h3>{table(head, rows)}{note}"


def _starts(columns: Sequence[Column]) -> list[str]:
    """The class of columns with which a group begins or ends; empty for the others."""
    groups = ["", *(column.group for column in columns)]
    return ["start" if before != group else "" for before, group in pairwise(groups)]


def _groups(columns: Sequence[Column]) -> Iterator[str]:
    """Headings of neighbouring columns."""
    place = 0
    starts = _starts(columns)
    for group, members in groupby(columns, key=lambda column: column.group):
        span = len(list(members))
        classes = f"{'group' if group else ''} {starts[place]}".strip()
        kind = f' class="{classes}"' if classes else ""
        yield f'<th{kind} colspan="{span}">{escape(group)}</th>'
        place += span


def _class(column: Column, *others: str) -> str:
    """As an attribute: how the column is written, and other classes."""
    classes = ["text"] if column.unit == "text" else []
    classes += [each for each in others if each]
    return f' class="{" ".join(classes)}"' if classes else ""


def _cell(value: Value, column: Column, start: str) -> str:
    text, interval = parts_of(value, column.unit)
    words = "words" if column.unit == "text" and len(text) > LONG else ""
    beside = f" <small>{escape(interval)}</small>" if interval else ""
    return f"<td{_class(column, words, start)}>{_text(text)}{beside}</td>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(line)}</li>" for line in lines) + "</ul>" if lines else ""


def _text(text: str) -> str:
    """Text of a section, where backticks hold code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
