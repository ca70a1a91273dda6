"""The tables of a survival report: models side by side by width, and each by level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from beamwise.evaluation.survival_counts import SearchTime, WidthCounts
from beamwise.evaluation.survival_figures import Survival
from beamwise.report.leaf_names import leaf_names

ABSENT = "-"
MOST_LEVELS = 12
"""Rows of a table by level; long titles have more, and at most of them nothing is lost."""


class Table(NamedTuple):
    """Cells of text under a header."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str
    """How to read it."""


def tables(survivals: Mapping[str, Survival]) -> list[Table]:
    """Every table of a report on some models, by their names."""
    each = [level_table(name, survival) for name, survival in survivals.items()]
    return [width_table(survivals), outcome_table(survivals), *each]


def width_table(survivals: Mapping[str, Survival]) -> Table:
    """Quality, time and proofs by beam width, and of the exact search."""
    k = next(iter(survivals.values())).config.top_k
    metrics = sorted({name for each in survivals.values() for name in _metrics(each)}, key=_order)
    header = ("model", "beam width", *metrics, f"best {k} kept", "proved exact", "ms a user")
    rows = []
    for name, survival in survivals.items():
        for counts in survival.widths:
            time = survival.times.get(str(counts.width))
            values = (_four(counts.mean(metric)) for metric in metrics)
            shares = (ABSENT, ABSENT)
            if survival.is_wide_enough(counts):
                shares = (_percent(counts.retention), _percent(counts.exact / survival.users))
            rows.append((name, _width(survival, counts), *values, *shares, _time(time)))
        exact = (_four(survival.exact.get(metric)) for metric in metrics)
        time = survival.times.get("exact")
        rows.append((name, "exact", *exact, "100.0 %", "100.0 %", _time(time)))
    leaves = leaf_names([each.level_name == "token" for each in survivals.values()])
    note = (
        f"By {leaves}. Recall and NDCG come from all users, times from real searches "
        f"of a sample on this machine. * is the beam that the report is about. {_below(k)}"
    )
    return Table("By beam width", header, rows, note)


def outcome_table(survivals: Mapping[str, Survival]) -> Table:
    """What became of the targets, and the shares that BEAR speaks of, by width."""
    header = (
        "model",
        "beam width",
        "found",
        "promoted",
        "pruned",
        "out-scored",
        "in best B",
        "of these pruned",
        "of these by token",
    )
    rows = []
    for name, survival in survivals.items():
        for counts in survival.widths:
            out = counts.outcomes
            fates = [f"{n:,}" for n in (out.found, out.promoted, out.pruned, out.outscored)]
            if not survival.is_wide_enough(counts):
                fates = [ABSENT] * len(fates)
            pruned = _ratio(counts.within_pruned, counts.within)
            token = _ratio(counts.within_pruned_by_token, counts.within_pruned)
            shares = (f"{counts.within:,}", pruned, token)
            rows.append((name, _width(survival, counts), *fates, *shares))
    k = next(iter(survivals.values())).config.top_k
    note = (
        f"Found: in the true best {k} and returned. Promoted: returned only since better items "
        f"were pruned. Pruned: in the true best {k}, lost by the beam. Out-scored: neither. "
        "In best B: targets among as many true best items as the beam is wide; the share of them "
        "that it prunes; and of those the share whose token, where lost, is not among the B most "
        f"probable after its own true prefix. {_below(k)}"
    )
    return Table("What became of the targets", header, rows, note)


def level_table(name: str, survival: Survival) -> Table:
    """Prefix recall, ranks, margins, retention and losses of one model, level by level."""
    beam = survival.beam
    recall, retention = survival.prefix_recall(beam), survival.retention(beam)
    figures = {each.level: each for each in survival.levels()}
    header = (
        survival.level_name,
        "prefix recall",
        "median rank",
        "places",
        "margin 5 % / median / 95 % (nats)",
        "margin mean",
        f"best {survival.config.top_k} kept",
        "pruned here",
        "out-scored here",
    )
    rows = []
    lost = survival.by_level(beam)
    shown = _levels_shown(survival)
    for index in shown:
        level = survival.told_levels[index]
        place = figures.get(level.number)
        margin = None if place is None else place.margin
        spread = ABSENT if margin is None else " / ".join(f"{margin[q]:.2f}" for q in _SPREAD)
        rows.append(
            (
                level.name,
                _percent(recall[index]),
                ABSENT if place is None else f"{place.rank['q50']:,.0f}",
                ABSENT if place is None else f"{place.places}",
                spread,
                ABSENT if margin is None else f"{margin['mean']:.2f}",
                _percent(retention[index]),
                f"{lost[index].pruned:,}",
                f"{lost[index].outscored:,}",
            )
        )
    note = (
        "Ranks are among all prefixes that are as long, by true score, ties by order in the "
        "catalog; in the last row among all items. The margin is to the last that has a place: "
        "below 0 the target's prefix has none."
    )
    word = survival.level_name
    if word == "token":
        note += (
            f" Of up to {survival.num_levels} tokens, those are told of at which a beam has a "
            "choice; forced ones belong to the token before them."
        )
    if len(shown) < len(survival.told_levels):
        note += (
            f" Shown of {len(survival.told_levels)} {word}s are the first, the last, and those at "
            "which most was lost."
        )
    return Table(
        f"{name}: beam of {survival.config.beam_width}, {word} by {word}", header, rows, note
    )


def _levels_shown(survival: Survival) -> list[int]:
    """Places of all levels; of many the first, the last, and those where most targets were lost."""
    last = len(survival.told_levels) - 1
    if last < MOST_LEVELS:
        return list(range(last + 1))
    lost = [each.pruned + each.outscored for each in survival.by_level(survival.beam)]
    inner = sorted(range(1, last), key=lambda place: -lost[place])
    return sorted([0, last, *(place for place in inner[: MOST_LEVELS - 2] if lost[place])])


_SPREAD = ("q5", "q50", "q95")


def _metrics(survival: Survival) -> list[str]:
    return [name for name in survival.exact if not name.endswith("_by_item")]


def _order(metric: str) -> tuple[str, int]:
    name, k = metric.split("@")
    return ("0" if name == "recall" else name, int(k))


def _width(survival: Survival, counts: WidthCounts) -> str:
    return f"{counts.width}{' *' if counts.width == survival.config.beam_width else ''}"


def _below(k: int) -> str:
    return f"A beam narrower than {k} returns fewer items, and is not compared with the best {k}."


def _four(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.4f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ratio(part: int, whole: int) -> str:
    return _percent(part / whole) if whole else ABSENT


def _time(time: SearchTime | None) -> str:
    return ABSENT if time is None or time.users == 0 else f"{time.milliseconds:.2f}"
