"""One part of a report on experiments as data: what was made, its tables and its charts.

A section is all that files, pictures and pages are drawn from, and what is kept as JSON, so that a
result that was made elsewhere is rendered like one's own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from beamwise.config import Config

SLUG = r"^[a-z0-9][a-z0-9-]*$"
"""What names files and anchors: lower-case letters, digits and dashes."""
Unit = Literal["text", "count", "metric", "difference", "share", "seconds", "p", "number"]
"""How values of a column are written: recall and NDCG with four decimals, a difference with its
sign, a share of 1 in percent, seconds as they are read best, p as tables of statistics do."""


class Estimate(Config):
    """A mean with its interval, or without where there is none."""

    mean: float
    low: float | None = None
    """The 95 % interval is low..high."""
    high: float | None = None

    @model_validator(mode="after")
    def _whole(self) -> Estimate:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"an interval has two ends, got low={self.low}, high={self.high}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"an interval begins below its end, got {self.low} to {self.high}")
        return self


Value = str | int | float | Estimate | None
"""A cell; None where nothing was measured."""
NO_VALUE = "no value"
"""A cell of any column of a paper's, where the paper has none."""


class Column(Config):
    """What the cells of a column are."""

    name: str
    unit: Unit = "text"
    group: str = ""
    """Heading that neighbouring columns share, as a metric over the paper's value and ours."""


class Table(Config):
    """Values by row, of which the first cell names the row."""

    name: str = Field(pattern=SLUG)
    title: str
    columns: tuple[Column, ...] = Field(min_length=1)
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""
    """How to read it."""

    @model_validator(mode="after")
    def _rectangular(self) -> Table:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.name}: a row has {len(row)} cells, there are "
                    f"{len(self.columns)} columns"
                )
        return self


class Axis(Config):
    """What a chart shows along one direction."""

    label: str
    """With its unit."""
    log: bool = False
    percent: bool = False
    """Values are shares of 1, shown in percent."""
    from_zero: bool = False

    @model_validator(mode="after")
    def _can_begin(self) -> Axis:
        if self.log and self.from_zero:
            raise ValueError(f"axis {self.label!r}: a logarithmic axis has no zero to begin with")
        return self


class Series(Config):
    """Values that a chart joins, in one colour, which is that of `method` everywhere."""

    name: str
    """In the legend."""
    x: tuple[float | str, ...]
    """Numbers, or names of places, which then are those of all series of the chart, in order."""
    y: tuple[Estimate, ...]
    method: str = ""
    """Whose values these are; `name` where not given."""
    dash: Literal["solid", "dashed", "dotted"] = "solid"

    @model_validator(mode="after")
    def _paired(self) -> Series:
        if len(self.x) != len(self.y):
            raise ValueError(f"series {self.name}: {len(self.x)} places, {len(self.y)} values")
        return self


class Chart(Config):
    """A drawing of series on the same axes."""

    name: str = Field(pattern=SLUG)
    title: str
    kind: Literal["lines", "bars", "dots"]
    """Joined points; bars from 0 beside each other; or points on rows that the x of the series
    names, values to the right, as methods with intervals are shown."""
    x: Axis
    """Of the places; in `dots` it labels the rows."""
    y: Axis
    """Of the values."""
    series: tuple[Series, ...] = Field(min_length=1)
    lines_at: dict[str, float] = Field(default={})
    """Values to mark across the chart, by their label, as a baseline's or a paper's."""
    note: str = ""
    """What it shows, and how to read it."""


class Section(Config):
    """A part of a report: a table or figure of a paper, or one of our own."""

    name: str = Field(pattern=SLUG)
    """Of its files: `table1`."""
    title: str
    setting: str = ""
    """Data set, backbone and size, where it is of one."""
    method: tuple[str, ...] = ()
    """Paragraphs: what was trained and measured, how, and what intervals and tests mean."""
    findings: tuple[str, ...] = ()
    """What the figures say, a sentence each."""
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    made_by: tuple[str, ...] = ()
    """Code, machine and seeds behind it, a line each."""
    missing: tuple[str, ...] = ()
    """What it lacks, a line each."""
    command: str = ""
    """What makes it again."""

    @property
    def anchor(self) -> str:
        """Its name on a page, that of no part of another setting: `table1-office-tiger`."""
        words = re.findall(r"[a-z0-9]+", self.setting.lower())
        return "-".join([self.name, *words])

    @model_validator(mode="after")
    def _names_once(self) -> Section:
        names = [part.name for part in (*self.tables, *self.charts)]
        if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
            raise ValueError(f"section {self.name} has two parts named {repeated[0]}")
        return self

    def save(self, path: Path) -> None:
        """Write it as JSON; the file appears complete or not at all."""
        unfinished = path.with_name(f".{os.getpid()}.{path.name}")
        text = json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> Section:
        """Read what `save` wrote.

        Raises:
            ValueError: If the file is missing, damaged or no section.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError):
            raise ValueError(
                f"{path} is missing, damaged or no section of a report: make it again"
            ) from None


def estimates(values: Sequence[float]) -> tuple[Estimate, ...]:
    """Values without intervals."""
    return tuple(Estimate(mean=float(value)) for value in values)
