"""Words and numbers of an inspection: labels of prefixes, and what became of the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from beamwise.report.inspection import (
    InspectedLevel,
    InspectedPrefix,
    InspectedResult,
    Inspection,
    TargetAtLevel,
)

RANKS_SHOWN = 4
"""Ranks of exact search that a cell lists."""


def prefix_label(prefix: InspectedPrefix) -> str:
    """The text or the codes of a prefix, or its tokens where they are neither."""
    if prefix.text is not None:
        return prefix.text
    if prefix.codes is None:
        return " ".join(map(str, prefix.tokens))
    end = ["end"] * (len(prefix.tokens) - len(prefix.codes))
    return " ".join([*map(str, prefix.codes), *end])


def is_whole(prefix: InspectedPrefix) -> bool:
    """Whether the label of a prefix is the title of the only item below it."""
    return prefix.num_items == 1 and prefix.text == prefix.examples[0].title


def ranks_label(ranks: Sequence[int]) -> str:
    """Ranks as a list, cut where there are many."""
    shown = ", ".join(map(str, ranks[:RANKS_SHOWN]))
    more = len(ranks) - RANKS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def shortened(text: str, most: int) -> str:
    """At most so many characters, the first."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def ending(text: str, most: int) -> str:
    """At most so many characters, the last: of a long prefix, what a step added."""
    return text if len(text) <= most else f"…{text[1 - most :].lstrip()}"


def names_below(prefix: InspectedPrefix) -> list[str]:
    """Titles of some items below a prefix.

    Ids where there are none, and where the prefix is the title itself, which items share.
    """
    titles = (None if item.title == prefix.text else item.title for item in prefix.examples)
    return [title or item.item_id for title, item in zip(titles, prefix.examples, strict=True)]


def leads_to(prefix: InspectedPrefix, most: int) -> str:
    """Names of some items below a prefix, each at most so long."""
    names = [shortened(name, most) for name in names_below(prefix)]
    more = prefix.num_items - len(names)
    return " | ".join(names) + (f" (+{more:,})" if more else "")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th; 11th, 12th, 13th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number:,}{ending or 'th'}"


def level_title(level: InspectedLevel, inspection: Inspection) -> str:
    """What a step of the beam did."""
    if level.is_end:
        return (
            f"whole items: {level.num_candidates:,} reached by forced tokens, "
            f"{len(level.survivors):,} returned, {level.num_lost:,} lost"
        )
    name = f"{inspection.level_name} {level.number}"
    if inspection.level_name == "level":
        name = f"{name} of {inspection.num_levels}"
    return (
        f"{name}: {_count(level.num_expanded, 'prefix', 'prefixes')} "
        f"expanded, {level.num_candidates:,} scored, {len(level.survivors):,} kept, "
        f"{level.num_lost:,} lost{_forced(level)}"
    )


def _forced(level: InspectedLevel) -> str:
    """Which tokens after those of a step are forced."""
    first, last = level.number + 1, level.until
    if first > last:
        return ""
    return f"; token {first} is forced" if first == last else f"; {first} to {last} are forced"


def search_facts(inspection: Inspection) -> dict[str, str]:
    """What the numbers of a search stand for, where that is to be said."""
    if inspection.codebook_size is not None:
        return {"tokens": f"2 + level * {inspection.codebook_size} + code, levels from 0"}
    if inspection.level_name == "level":
        return {}
    return {"steps": "tokens where a prefix has a choice; forced ones are read with the one before"}


def target_line(target: TargetAtLevel) -> str:
    """How the target's prefix stands on one level."""
    states = {
        "kept": "kept,",
        "returned": "returned,",
        "pruned": "pruned,",
        "outscored": "out-scored,",
        "lost before": "lost before, would be",
        "crowded out": "crowded out by items that share their tokens, which are",
    }
    return f"target {states[target.state]} {ordinal(target.rank)}{_against(target.margin)}"


def results_note(result: InspectedResult, inspection: Inspection) -> str:
    """What is to be said of an item that a search returns."""
    notes = ["target"] if result.is_target else []
    if result.lost_at is not None:
        notes.append(f"the beam lost it at {inspection.level_name} {result.lost_at}")
    elif result.beam_rank is None:
        notes.append("not returned by the beam")
    if result.exact_rank is None:
        notes.append(f"not among the best {inspection.top_k}")
    return ", ".join(notes)


def verdict(inspection: Inspection) -> list[str]:
    """Sentences on the target, and on what the beam lost."""
    return [*_on_the_target(inspection), *_on_the_beam(inspection)]


def _on_the_target(inspection: Inspection) -> list[str]:
    if inspection.target is None:
        return []
    name = inspection.target.title or inspection.target.item_id
    if inspection.target_retired:
        return [f"The target, {name}, is retired: no search returns it."]
    found, lost = inspection.target_result, inspection.lost_at
    if found is not None and found.beam_rank is not None:
        return [f"The beam returns the target, {name}, at rank {found.beam_rank}. " + _exact(found)]
    if inspection.is_crowded_out:
        return [
            f"The beam returns the tokens of the target, {name}, but some tokens stand for several "
            f"items, and others fill the {inspection.top_k} places. " + _exact(found, inspection)
        ]
    if lost is None or lost.target is None:
        return [f"The beam does not return the target, {name}. " + _exact(found, inspection)]
    margin = _against(lost.target.margin)
    if lost.target.state == "pruned":
        begin = (
            f"The beam lost the target, {name}, at {inspection.level_name} {lost.number}: its "
            f"prefix is the {ordinal(lost.target.rank)} of those scored{margin}."
        )
    else:
        begin = (
            f"The beam kept every prefix of the target, {name}, but it is the "
            f"{ordinal(lost.target.rank)} of the whole items found{margin}."
        )
    return [f"{begin} {_exact(found, inspection)}"]


def _exact(found: InspectedResult | None, inspection: Inspection | None = None) -> str:
    if found is not None and found.exact_rank is not None:
        return f"Exact search returns it at rank {found.exact_rank}."
    rank = None if inspection is None else inspection.target_rank
    where = "" if rank is None else f": its tokens rank {ordinal(rank)} in the whole catalog"
    return f"Exact search does not return it{where}."


def _on_the_beam(inspection: Inspection) -> list[str]:
    best = [result for result in inspection.results if result.exact_rank is not None]
    lost = [result for result in best if result.beam_rank is None]
    sentences: list[str] = []
    if not inspection.exact_proved:
        sentences.append(
            "Exact search reached its limit before it could prove its results: they are the best "
            "that it found."
        )
    if not lost:
        proof = " and proved it by itself" if inspection.beam_exact else ""
        return [*sentences, f"The beam returns all of the exact top {len(best)}{proof}."]
    levels = Counter(result.lost_at for result in lost if result.lost_at is not None)
    level_name = inspection.level_name
    where = ", ".join(f"{count} at {level_name} {level}" for level, count in sorted(levels.items()))
    kept = len(best) - len(lost)
    return [
        *sentences,
        f"Of the exact top {len(best)} the beam returns {kept} and lost {len(lost)}"
        + (f": {where}." if where else "."),
    ]


def _against(margin: float | None) -> str:
    if margin is None:
        return ", with a place for all"
    side = "above" if margin >= 0 else "below"
    return f", {abs(margin):.3f} nats {side} the last that found a place"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
