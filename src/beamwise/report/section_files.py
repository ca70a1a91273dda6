"""A section of a report as files: data, words, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from beamwise.report.charts import FORMATS, draw_chart
from beamwise.report.section import Section
from beamwise.report.section_text import section_markdown, table_csv


def write_section(section: Section, folder: Path) -> list[Path]:
    """Write NAME.json, NAME.md, NAME-TABLE.csv, NAME-CHART.png and NAME-CHART.svg.

    Every file appears complete or not at all, also where several processes write the same.

    Args:
        section: What to write.
        folder: Where; made if need be.

    Returns:
        What was written; the data last, so that where they are there is all of it.

    Raises:
        ValueError: If a chart cannot be drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for chart in section.charts:
        for suffix in FORMATS:
            paths.append(folder / f"{section.name}-{chart.name}{suffix}")
            with _complete(paths[-1]) as unfinished:
                draw_chart(chart, unfinished)
    texts = {f"{section.name}-{table.name}.csv": table_csv(table) for table in section.tables}
    pictures = {chart.name: f"{section.name}-{chart.name}.png" for chart in section.charts}
    texts[f"{section.name}.md"] = section_markdown(section, pictures)
    for name, text in texts.items():
        paths.append(folder / name)
        with _complete(paths[-1]) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="")
    paths.append(folder / f"{section.name}.json")
    with _complete(paths[-1]) as unfinished:
        section.save(unfinished)
    return paths


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """A path of one's own to write to, which becomes `path` if that succeeds."""
    unfinished = path.with_name(f".{uuid4().hex}-{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
