"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from beamwise.config import Config, describe_settings
from beamwise.experiments.comparison import Row

_NUMBER = re.compile(r"-?[0-9][0-9,.]*")
BAR_WIDTH = 40
"""Characters of the longest bar of a histogram."""


def message(text: str) -> None:
    """Tell the user something, on standard error."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(escape(text))


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object as one line on standard output; paths as text."""
    print(json_line(content), flush=True)


def json_line(content: Mapping[str, Any]) -> str:
    """One JSON object as one line."""
    return json.dumps(content, default=_plain, ensure_ascii=False, allow_nan=False)


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    """Names and values in two columns."""
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in facts.items():
        table.add_row(escape(name), escape(_written(value)))
    _print(table)


def print_comparison(rows: Sequence[Row], runs: Sequence[str], title: str) -> None:
    """Measures of several runs, one column a run."""
    table = Table(title=escape(title), title_justify="left")
    table.add_column("")
    table.add_column("")
    for run in runs:
        table.add_column(escape(run), justify="right", overflow="fold")
    previous = None
    for row in rows:
        group = "" if row.group == previous else row.group
        if group and previous is not None:
            table.add_section()
        previous = row.group
        table.add_row(group, row.measure, *("" if v is None else v for v in row.values))
    _print(table)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under a header; numbers to the right, None as an empty cell."""
    table = Table(title=escape(title), title_justify="left")
    for column, name in enumerate(header):
        is_number = all(isinstance(row[column], int | float | None) for row in rows)
        table.add_column(escape(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_written(value)) for value in row))
    _print(table)


def print_sections(
    title: str,
    header: Sequence[str],
    sections: Sequence[Sequence[tuple[str, Sequence[str]]]],
    *,
    cut: str,
) -> None:
    """Rows in sections with a line between, each with a style, as in "bold" or "" for none.

    On a narrow screen the column `cut` loses what does not fit; columns of numbers stand right.
    """
    table = Table(title=escape(title), title_justify="left")
    rows = [row for section in sections for _, row in section]
    for column, name in enumerate(header):
        texts = [row[column].rstrip("%") for row in rows if row[column] not in ("", "-")]
        is_number = bool(texts) and all(_NUMBER.fullmatch(text) for text in texts)
        justify = "right" if is_number else "left"
        table.add_column(escape(name), justify=justify, no_wrap=name != cut)
    for section in sections:
        for style, row in section:
            cells = (Text(text, no_wrap=True, overflow="ellipsis") for text in row)
            table.add_row(*cells, style=style)
        table.add_section()
    _print(table)


def print_settings(title: str, model: type[Config], *, json: bool) -> None:
    """Every setting of a model with its default and its meaning."""
    rows = describe_settings(model)
    if json:
        for row in rows:
            print_json(row._asdict())
        return
    print_table(title, ("setting", "default", "meaning"), rows)


def print_histogram(title: str, what: str, bins: Mapping[str, int]) -> None:
    """Counts by bin, each with a bar."""
    table = Table(title=escape(title), title_justify="left", show_edge=False, box=None)
    table.add_column("", justify="right")
    table.add_column(escape(what), justify="right")
    table.add_column("")
    longest = max(bins.values(), default=0) or 1
    for name, count in bins.items():
        bar = "█" * round(BAR_WIDTH * count / longest) or ("▏" if count else "")
        table.add_row(escape(name), f"{count:,}", bar)
    _print(table)


def print_items(title: str, items: Sequence[tuple[str, str | None, float]]) -> None:
    """Recommended items, best first, with their log-probabilities in nats."""
    table = Table(title=escape(title), title_justify="left")
    for name in ("", "item", "title"):
        table.add_column(name, justify="right" if not name else "left", overflow="fold")
    table.add_column("log-prob.", justify="right")
    for rank, (item_id, item_title, log_prob) in enumerate(items, start=1):
        table.add_row(str(rank), escape(item_id), escape(item_title or ""), f"{log_prob:.3f}")
    _print(table)


def print_next(commands: Sequence[str]) -> None:
    """Commands to run next."""
    print("next:")
    for command in commands:
        print(f"  {command}")


def _print(table: Table) -> None:
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console.width = 200  # a pipe or a file is not cut to a screen's width
    console.print(table)


def _written(value: object) -> str:
    """A value as tables show it; None is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON form of {type(value).__name__}")
