"""The data card: how much data there is, and how it is distributed over users and items."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Integer

from beamwise.config import Config, changed_settings
from beamwise.data.dataset import Dataset
from beamwise.data.published_targets import PARTS
from beamwise.data.user_sequences import are_positions

MARKDOWN_FILE, JSON_FILE = "data_card.md", "data_card.json"
BAR_WIDTH = 40
"""Characters of the longest bar of a histogram."""
_PER_SECOND = {1: (10**8, 10**11), 1_000: (10**11, 10**14), 1_000_000: (10**14, 10**17)}
"""Units of time since 1970, by the numbers that they have from 1973 to 5138."""


@dataclass(frozen=True)
class Distribution:
    """How many interactions a user has, or an item."""

    min: int
    median: float
    mean: float
    max: int
    histogram: dict[str, int]
    """Users or items in each bin: 1, 2-3, 4-7, 8-15, ... interactions, up to the last not empty."""


@dataclass(frozen=True)
class DataCard:
    """What `data_card` found."""

    read_from: dict[str, str]
    """The source, the names of its files, and the settings that differ from their defaults."""
    users: int
    items: int
    """Those that can be recommended."""
    items_taken: int
    """Those that somebody took."""
    interactions: int
    density_percent: float
    """Interactions in percent of users x items taken."""
    items_with_title: int
    items_with_text: int
    """With a title, or any other text."""
    interactions_per_user: Distribution
    interactions_per_item: Distribution
    """Of the items that somebody took."""
    first_time: int | None
    """The earliest timestamp in the data's unit; None where the data have no times."""
    last_time: int | None
    times: str
    """From when to when, or what timestamps are instead of times."""
    split: str | None
    """How `targets` are made, where it is known."""
    targets: dict[str, int]
    """How many each part of the split has."""
    notes: dict[str, int]
    """What else was counted, as rows read."""
    published: tuple[str, ...]
    """Comparison with published figures, a line each."""

    def as_dict(self) -> dict[str, Any]:
        """All figures under their names, as JSON has them."""
        return asdict(self) | {"published": list(self.published)}

    def as_markdown(self) -> str:
        """Headings, tables and histograms of text."""
        blocks = [
            "# Data card",
            _table(self.facts()),
            "## Interactions of a user",
            _described(self.interactions_per_user, "users"),
            "## Interactions of an item",
            _described(self.interactions_per_item, "items"),
        ]
        if self.published:
            lines = (f"- {_plain(line)}" for line in self.published)
            blocks += ["## Published figures", "\n".join(lines)]
        return "\n\n".join(blocks) + "\n"

    def facts(self) -> dict[str, str]:
        """The figures but the distributions, as tables show them."""
        without = self.items - self.items_with_text
        source = {
            "source" if name == "name" else f"source {name}": value
            for name, value in self.read_from.items()
        }
        facts = source | {
            "users": f"{self.users:,}",
            "items": f"{self.items:,}",
            "items that somebody took": f"{self.items_taken:,}",
            "interactions": f"{self.interactions:,}",
            "density": f"{self.density_percent:.4g} % of users x items taken",
            "items with a title": f"{self.items_with_title:,}",
            "items with any text": f"{self.items_with_text:,} (without: {without:,})",
            "times": self.times,
        }
        targets = f"targets ({self.split})" if self.split else "targets"
        facts |= {f"{part} {targets}": f"{count:,}" for part, count in self.targets.items()}
        notes = {name.replace("_", " "): f"{count:,}" for name, count in self.notes.items()}
        return facts | notes


def data_card(
    dataset: Dataset,
    targets: Mapping[str, int] | None = None,
    notes: Mapping[str, int] | None = None,
    published: Sequence[str] = (),
    source: Config | None = None,
) -> DataCard:
    """Describe a dataset; ten million interactions take about a second.

    Args:
        dataset: What was prepared.
        targets: How many each part of the split has, by its name; where not given those that came
            with the dataset, or else those of leaving one out.
        notes: What else was counted, by its name; what the dataset's source counted where not
            given.
        published: Lines that compare with published figures.
        source: The settings of the source that was read.
    """
    interactions, items = dataset.interactions, dataset.items
    per_user = np.bincount(interactions.users)
    per_item = np.bincount(interactions.items)
    times = interactions.timestamps
    timeless = _instead_of_times(dataset)
    split, found = _targets_of(dataset, per_user)
    first, last = int(times.min()), int(times.max())
    pairs = interactions.num_users * interactions.num_items
    return DataCard(
        read_from={} if source is None else _described_source(source),
        users=interactions.num_users,
        items=len(items),
        items_taken=interactions.num_items,
        interactions=len(interactions),
        density_percent=100 * len(interactions) / pairs,
        items_with_title=_num_with(items, ["title"]),
        items_with_text=_num_with(items, [name for name in items.columns if name != "item_id"]),
        interactions_per_user=_distribution(per_user),
        interactions_per_item=_distribution(per_item),
        first_time=None if timeless else first,
        last_time=None if timeless else last,
        times=timeless or _period(first, last),
        split=split if targets is None else None,
        targets=dict(found if targets is None else targets),
        notes=dict(dataset.notes if notes is None else notes),
        published=tuple(published),
    )


def write_card(card: DataCard, folder: Path) -> None:
    """Write `data_card.md` and `data_card.json` into an existing folder."""
    content = json.dumps(card.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / JSON_FILE).write_text(content + "\n", encoding="utf-8")
    (folder / MARKDOWN_FILE).write_text(card.as_markdown(), encoding="utf-8")


def _distribution(counts: Integer[np.ndarray, " owners"]) -> Distribution:
    """Of counts that are all >= 1."""
    sizes = np.bincount(np.frexp(counts)[1] - 1)  # bin b holds 2^b .. 2^(b + 1) - 1
    names = ("1" if b == 0 else f"{1 << b:,}-{(2 << b) - 1:,}" for b in range(len(sizes)))
    return Distribution(
        min=int(counts.min()),
        median=float(np.median(counts)),
        mean=float(counts.mean()),
        max=int(counts.max()),
        histogram=dict(zip(names, sizes.tolist(), strict=True)),
    )


def _targets_of(
    dataset: Dataset, lengths: Integer[np.ndarray, " users"]
) -> tuple[str, dict[str, int]]:
    """The split that a card describes, and how many targets each of its parts has."""
    if dataset.targets is None:
        return "leave-one-out", _leave_one_out_targets(lengths)
    parts = dataset.targets["part"]
    return "published", {name: int((parts == name).sum()) for name in PARTS}


def _leave_one_out_targets(lengths: Integer[np.ndarray, " users"]) -> dict[str, int]:
    return {
        "training": int(np.maximum(lengths - 3, 0).sum()),
        "validation": int((lengths >= 3).sum()),
        "test": int((lengths >= 2).sum()),
    }


def _num_with(items: pl.DataFrame, columns: list[str]) -> int:
    """Items for which any of these columns has text."""
    texts = [name for name in columns if items.schema[name] == pl.String]
    has_text = [pl.col(name).str.strip_chars().str.len_bytes().fill_null(0) > 0 for name in texts]
    return int(items.select(pl.any_horizontal(has_text).sum()).item()) if has_text else 0


def _described_source(source: Config) -> dict[str, str]:
    """Its name, its files without their folders, and the settings that differ from defaults."""
    paths = {name: value.resolve().name for name, value in source if isinstance(value, Path)}
    tags = {name: str(value) for name, value in source if name == "name"}
    changed = {
        key: value
        for key, value in changed_settings(source).items()
        if key not in paths and key not in tags
    }
    settings = ", ".join(
        f"{key}={'null' if value is None else value}" for key, value in changed.items()
    )
    return tags | paths | {"settings": settings or "defaults"}


def _instead_of_times(dataset: Dataset) -> str | None:
    """What timestamps are where they are no times; None where they are."""
    if not dataset.has_times:
        return "none: order of the rows"
    interactions = dataset.interactions
    if are_positions(interactions.timestamps, interactions.starts):
        return "none: timestamps are positions in the users' lists"
    return None


def _period(first: int, last: int) -> str:
    """Days where the numbers are a time since 1970 in a known unit, else the numbers."""
    for per_second, (lowest, beyond) in _PER_SECOND.items():
        if lowest <= last < beyond and abs(first) < beyond:
            start, stop = (_day(time / per_second) for time in (first, last))
            return f"{start} to {stop}"
    return f"{first:,} to {last:,}"


def _day(seconds: float) -> str:
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    return (begin + timedelta(seconds=seconds)).date().isoformat()


def _described(distribution: Distribution, owners: str) -> str:
    """The four figures and the histogram."""
    figures = (
        f"min {distribution.min:,}, median {distribution.median:,.4g}, "
        f"mean {distribution.mean:,.2f}, max {distribution.max:,}"
    )
    names = [*distribution.histogram, "interactions"]
    widths = max(map(len, names)), max(len(f"{n:,}") for n in distribution.histogram.values())
    widths = widths[0], max(widths[1], len(owners))
    largest = max(distribution.histogram.values())
    lines = [f"{'interactions':>{widths[0]}}  {owners:>{widths[1]}}"]
    for name, count in distribution.histogram.items():
        bar = "#" * -(-BAR_WIDTH * count // largest)  # rounded up: a bin that is not empty shows
        lines.append(f"{name:>{widths[0]}}  {count:>{widths[1]},}  {bar}".rstrip())
    return "\n".join([figures, "", "```text", *lines, "```"])


def _table(facts: Mapping[str, str]) -> str:
    rows = [f"| {_plain(name)} | {_plain(value)} |" for name, value in facts.items()]
    return "\n".join(["| | |", "| --- | ---: |", *rows])


def _plain(text: str) -> str:
    """On one line, without a sign that ends a cell."""
    return " ".join(text.split()).replace("|", "\\|")
