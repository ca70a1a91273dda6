"""An inspection as one page that opens from disk: the beam as columns of prefixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import exp

from beamwise.report.inspection import InspectedLevel, InspectedPrefix, InspectedResult, Inspection
from beamwise.report.inspection_style import STYLE_SHEET
from beamwise.report.inspection_text import (
    ending,
    is_whole,
    level_title,
    names_below,
    prefix_label,
    ranks_label,
    results_note,
    search_facts,
    shortened,
    target_line,
    verdict,
)

CARD_WIDTH, CARD_HEIGHT, CARD_GAP = 280, 58, 6
COLUMN_GAP, HEAD, DIVIDER = 60, 100, 34
"""Pixels; DIVIDER is the line between what lived and what was lost."""
MOST_SURVIVORS = 40
"""Cards of survivors in a column, the best; those that matter come on top of that."""
TEXT_SHOWN = 42
"""Characters of a title's beginning on a card, the last."""
NAMES_SHOWN = 2
"""Items named on a card; what does not fit is shown where the pointer rests."""

Places = dict[int, tuple[int, int]]
"""The upper left corner of each node's card."""


def inspection_page(inspection: Inspection) -> str:
    """The whole page, with nothing to fetch from anywhere."""
    title = _title(inspection)
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(inspection))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE_SHEET}</style></head><body>"
        f"<h1>{escape(title)}</h1>{_facts(inspection)}"
        f'<section class="verdict">{sentences}</section>'
        f"<h2>The beam, {inspection.level_name} by {inspection.level_name}</h2>"
        f"{_legend(inspection)}{_beam(inspection)}"
        f"<h2>What the beam and exact search return</h2>{_results(inspection)}"
        "</body></html>\n"
    )


def _title(inspection: Inspection) -> str:
    if inspection.user_id is None:
        return "The beam for a history"
    target = f"{inspection.split} target, {inspection.splitting}"
    return f"The beam for user {inspection.user_id}, {target}"


def _facts(inspection: Inspection) -> str:
    read = [escape(item.title or item.item_id) for item in inspection.history]
    unread = f" ({inspection.num_unread:,} older ones unread)" if inspection.num_unread else ""
    facts = {"search": _search(inspection), **search_facts(inspection)}
    if inspection.target is not None:
        name = inspection.target.title or ""
        facts["target"] = escape(f"{inspection.target.item_id} {name}".strip())
    if inspection.skipped:
        facts["unknown, left out"] = escape(", ".join(inspection.skipped))
    items = "".join(f"<li>{item}</li>" for item in read) or "<li>nothing: a new user</li>"
    most = f"{inspection.max_history:,} at most are read"
    summary = f"<summary>{len(read):,} items, the oldest first; {most}</summary>"
    facts[f"history{unread}"] = f"<details>{summary}<ol>{items}</ol></details>"
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"


def _search(inspection: Inspection) -> str:
    return (
        f"beam of {inspection.beam_width}, top {inspection.top_k}, mask {inspection.mask} the "
        f"softmax; {inspection.num_items:,} items of up to {inspection.num_levels} tokens"
    )


def _legend(inspection: Inspection) -> str:
    parts = [
        ("kept", "lives on"),
        ("returned", "whole item, returned"),
        ("pruned", "lost: no place in the beam"),
        ("outscored", "lost: whole item below the last returned"),
    ]
    swatches = "".join(f'<span><i class="card {name}"></i>{text}</span>' for name, text in parts)
    if inspection.target is not None:
        swatches += '<span><i class="card kept target"></i>leads to the target</span>'
    swatches += f'<span><b class="best">★</b> leads to the exact top {inspection.top_k}</span>'
    swatches += "<span>the bar is the probability beside the column's best</span>"
    return f'<p class="legend">{swatches}</p>'


def _beam(inspection: Inspection) -> str:
    """All columns side by side, over the lines that join a prefix to what it extends."""
    places: Places = {}
    cards: list[str] = []
    height = 0
    for column, level in enumerate(inspection.levels):
        left = column * (CARD_WIDTH + COLUMN_GAP)
        cards.append(_head(level, inspection, left))
        top = HEAD
        shown = _shown(level.survivors)
        best = max((each.log_prob for each in (*level.survivors, *level.lost)), default=0.0)
        for prefix in shown:
            places[prefix.node] = (left, top)
            cards.append(_card(prefix, best, left, top))
            top += CARD_HEIGHT + CARD_GAP
        cards.append(_divider(level, len(shown), left, top))
        top += DIVIDER
        for prefix in level.lost:
            places[prefix.node] = (left, top)
            cards.append(_card(prefix, best, left, top))
            top += CARD_HEIGHT + CARD_GAP
        height = max(height, top)
    width = len(inspection.levels) * (CARD_WIDTH + COLUMN_GAP) - COLUMN_GAP
    lines = "".join(_lines(inspection, places))
    return (
        f'<div class="scroll"><div class="beam" style="width:{width}px;height:{height}px">'
        f'<svg width="{width}" height="{height}" aria-hidden="true">{lines}</svg>'
        f"{''.join(cards)}</div></div>"
    )


def _shown(survivors: Sequence[InspectedPrefix]) -> list[InspectedPrefix]:
    return [
        prefix
        for place, prefix in enumerate(survivors)
        if place < MOST_SURVIVORS or prefix.is_target or prefix.exact_ranks
    ]


def _head(level: InspectedLevel, inspection: Inspection, left: int) -> str:
    title, _, counts = level_title(level, inspection).partition(": ")
    target = "" if level.target is None else f"<br>{escape(target_line(level.target))}"
    return (
        f'<div class="head" style="left:{left}px;width:{CARD_WIDTH}px"><b>{title}</b> '
        f"<small>{counts}{target}</small></div>"
    )


def _divider(level: InspectedLevel, num_shown: int, left: int, top: int) -> str:
    hidden = len(level.survivors) - num_shown
    more = f"{hidden:,} more kept; " if hidden else ""
    lost = f"{level.num_lost:,} lost, {len(level.lost):,} shown" if level.num_lost else "none lost"
    return (
        f'<div class="divider" style="left:{left}px;top:{top}px;width:{CARD_WIDTH}px">'
        f"{more}{lost}</div>"
    )


def _card(prefix: InspectedPrefix, best: float, left: int, top: int) -> str:
    classes = f"card {prefix.state}" + (" target" if prefix.is_target else "")
    star = '<b class="best">★</b> ' if prefix.exact_ranks else ""
    ranks = f"exact ranks {ranks_label(prefix.exact_ranks)}; " if prefix.exact_ranks else ""
    count = f"{prefix.num_items:,} item{'s' if prefix.num_items > 1 else ''}"
    names = names_below(prefix)
    label, text, shown = prefix_label(prefix), "", names[:NAMES_SHOWN]
    if prefix.text is not None:  # on a line of its own, in place of an item
        label, text = "", f"<div><b>{escape(ending(label, TEXT_SHOWN))}</b></div>"
        shown = [] if is_whole(prefix) else shown[:1]
    lines = text + "".join(f"<div>{escape(name)}</div>" for name in shown)
    hint = (
        f"{prefix.state}; token {prefix.tokens[-1]}; probability {exp(prefix.log_prob):.2%}; "
        f"{count}; {ranks}{' | '.join([*filter(None, [prefix.text]), *names])}"
    )
    return (
        f'<div class="{classes}" style="left:{left}px;top:{top}px;width:{CARD_WIDTH}px;'
        f'height:{CARD_HEIGHT}px" title="{escape(hint)}">'
        f'<div class="bar" style="width:{100 * exp(prefix.log_prob - best):.1f}%"></div>'
        f'<div class="line"><span class="rank">{prefix.rank:,}</span>'
        f"<code>{escape(label)}</code>"
        f'<span class="score">{star}{prefix.log_prob:.3f} <small>{count}</small></span></div>'
        f'<div class="names">{lines}</div></div>'
    )


def _lines(inspection: Inspection, places: Places) -> Iterator[str]:
    """Curves from each prefix to what it extends, the target's last so that it lies on top."""
    prefixes = [
        prefix
        for level in inspection.levels
        for prefix in (*level.survivors, *level.lost)
        if prefix.node in places and prefix.parent in places
    ]
    for prefix in sorted(prefixes, key=lambda each: (each.is_target, each.survived)):
        (left, top), (from_left, from_top) = places[prefix.node], places[prefix.parent]
        x, y = from_left + CARD_WIDTH, from_top + CARD_HEIGHT // 2
        to_y = top + CARD_HEIGHT // 2
        middle = (x + left) // 2
        name = "target" if prefix.is_target else prefix.state
        yield (f'<path class="{name}" d="M{x} {y}C{middle} {y} {middle} {to_y} {left} {to_y}"/>')


def _results(inspection: Inspection) -> str:
    names = ("beam", "exact", "item", "title", "log-prob.", "probability", "")
    header = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(_result(result, inspection) for result in inspection.results)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"


def _result(result: InspectedResult, inspection: Inspection) -> str:
    kinds = ["target"] if result.is_target else []
    kinds += ["lost"] if result.beam_rank is None else []
    kinds += ["extra"] if result.exact_rank is None else []
    ranks = "".join(f"<td>{rank or '-'}</td>" for rank in (result.beam_rank, result.exact_rank))
    return (
        f'<tr class="{" ".join(kinds)}">{ranks}<td>{escape(result.item_id)}</td>'
        f"<td>{escape(shortened(result.title or '', 90))}</td><td>{result.log_prob:.3f}</td>"
        f"<td>{exp(result.log_prob):.2%}</td>"
        f"<td>{escape(results_note(result, inspection))}</td></tr>"
    )
