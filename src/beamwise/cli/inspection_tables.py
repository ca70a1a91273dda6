"""An inspection as tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from beamwise.cli.output import print_facts, print_sections
from beamwise.report.inspection import InspectedLevel, InspectedPrefix, InspectedResult, Inspection
from beamwise.report.inspection_text import (
    ending,
    is_whole,
    leads_to,
    level_title,
    prefix_label,
    ranks_label,
    results_note,
    search_facts,
    shortened,
    target_line,
    verdict,
)

TITLE_SHOWN, PREFIX_SHOWN, LAST_ITEMS = 30, 40, 3
TARGET, LOST, EXTRA, HIDDEN = "bold yellow", "red", "dim", "dim italic"
"""Styles of rows."""

Row = tuple[str, Sequence[str]]


def print_inspection(inspection: Inspection, show: int) -> None:
    """Print what was asked, every level, the results of both searches, and the verdict.

    Args:
        inspection: What to print.
        show: Survivors of a level to print, the best, beside the target's.
    """
    print_facts(_title(inspection), _facts(inspection))
    for level in inspection.levels:
        _print_level(level, inspection, show)
    header = ("beam", "exact", "item", "title", "log-prob.", "prob.", "")
    rows = [_result(result, inspection) for result in inspection.results]
    print_sections("what the beam and exact search return", header, [rows], cut="title")
    for sentence in verdict(inspection):
        print(sentence)


def _title(inspection: Inspection) -> str:
    if inspection.user_id is None:
        return "a history"
    return f"user {inspection.user_id}, {inspection.split} target, {inspection.splitting}"


def _facts(inspection: Inspection) -> dict[str, object]:
    names = [
        shortened(item.title or item.item_id, TITLE_SHOWN)
        for item in inspection.history[-LAST_ITEMS:]
    ]
    more = len(inspection.history) - len(names)
    begin = [f"{more:,} before"] if more else []
    facts: dict[str, object] = {
        "history": " | ".join([*begin, *names]) or "nothing: a new user",
        "items read at most": inspection.max_history,
    }
    if inspection.num_unread:
        facts["older items, unread"] = inspection.num_unread
    if inspection.target is not None:
        target = inspection.target
        facts["target"] = " ".join([target.item_id, shortened(target.title or "", 2 * TITLE_SHOWN)])
    facts["search"] = (
        f"beam of {inspection.beam_width}, top {inspection.top_k}, mask {inspection.mask}"
    )
    return facts | search_facts(inspection)


def _print_level(level: InspectedLevel, inspection: Inspection, show: int) -> None:
    is_text = any(prefix.text is not None for prefix in (*level.survivors, *level.lost))
    is_code = inspection.codebook_size is not None
    names = ("begins with",) if is_text else ("codes" if is_code else "tokens", "token")
    header = ("", "rank", *names, "log-prob.", "prob.", "items", "leads to", "exact ranks")
    shown = [
        prefix for place, prefix in enumerate(level.survivors) if place < show or prefix.is_target
    ]
    kept = [_row(prefix) for prefix in shown]
    more = "more returned" if level.is_end else "more kept"
    kept += _hidden(len(level.survivors) - len(shown), more, len(header))
    lost = [_row(prefix) for prefix in level.lost]
    lost += _hidden(level.num_lost - len(level.lost), "more lost", len(header))
    title = level_title(level, inspection)
    if level.target is not None:
        title = f"{title}\n{target_line(level.target)}"
    print_sections(title, header, [kept, lost], cut="leads to")


def _row(prefix: InspectedPrefix) -> Row:
    style = "" if prefix.survived else LOST if prefix.exact_ranks else EXTRA
    state = f"{prefix.state}, target" if prefix.is_target else prefix.state
    cells = (
        state,
        f"{prefix.rank:,}",
        *_names(prefix),
        f"{prefix.log_prob:.3f}",
        f"{exp(prefix.log_prob):.2%}",
        f"{prefix.num_items:,}",
        "" if is_whole(prefix) else leads_to(prefix, TITLE_SHOWN),
        ranks_label(prefix.exact_ranks),
    )
    return (TARGET if prefix.is_target else style), cells


def _names(prefix: InspectedPrefix) -> tuple[str, ...]:
    label = ending(prefix_label(prefix), PREFIX_SHOWN)
    return (label,) if prefix.text is not None else (label, str(prefix.tokens[-1]))


def _hidden(count: int, what: str, num_columns: int) -> list[Row]:
    if count < 1:
        return []
    return [(HIDDEN, (f"{count:,} {what}", *[""] * (num_columns - 1)))]


def _result(result: InspectedResult, inspection: Inspection) -> Row:
    style = LOST if result.beam_rank is None else EXTRA if result.exact_rank is None else ""
    cells = (
        "-" if result.beam_rank is None else str(result.beam_rank),
        "-" if result.exact_rank is None else str(result.exact_rank),
        result.item_id,
        shortened(result.title or "", 2 * TITLE_SHOWN),
        f"{result.log_prob:.3f}",
        f"{exp(result.log_prob):.2%}",
        results_note(result, inspection),
    )
    return (TARGET if result.is_target else style), cells
