"""A survival report in plain sentences: what was measured, what it means, and what to do."""

from __future__ import annotations

from typing import NamedTuple

from beamwise.evaluation.survival import SurvivalCounts
from beamwise.evaluation.survival_counts import WidthCounts
from beamwise.evaluation.survival_figures import Survival
from beamwise.evaluation.survival_levels import ITEMS

FEW = 5
"""Below so many targets a share says too little to name it."""
SMALL = 0.1
"""Share of the misses below which pruning is not the first thing to mend."""
MANY = 20
"""The same where shares of several widths stand beside each other."""
MOST_NAMED = 6
"""Levels that a sentence names."""


class Finding(NamedTuple):
    """One thing that a report says of a model."""

    heading: str
    text: str
    advice: str
    """What to do; empty where nothing follows."""


def findings(survival: Survival) -> list[Finding]:
    """What a reader should take away, most important first."""
    found = [
        _misses(survival),
        _widths(survival),
        _retention(survival),
        _levels(survival),
        _tokens(survival),
        _proofs(survival),
        _check(survival),
    ]
    return [each for each in found if each is not None]


def percent(share: float) -> str:
    """A share as people write it."""
    value = 100 * share
    return f"{value:.0f} %" if value in (0, 100) or 10 <= value < 99.5 else f"{value:.1f} %"


def _misses(survival: Survival) -> Finding:
    counts, k, width = survival.beam.outcomes, survival.config.top_k, survival.config.beam_width
    hits = counts.found + counts.promoted
    misses = counts.users - hits
    text = (
        f"Of {counts.users:,} targets a beam of {width} returned {hits:,} "
        f"({percent(hits / counts.users)}) among its best {k}. "
    )
    if misses == 0:
        return Finding("What was missed", text + "It missed none.", "")
    text += (
        f"Of the {misses:,} misses, {counts.pruned:,} ({percent(counts.pruned / misses)}) were "
        f"pruned: the model ranks them among its best {k}, but a prefix of theirs fell out of the "
        f"beam. The other {counts.outscored:,} ({percent(counts.outscored / misses)}) were "
        f"out-scored: {k} items score higher. Returned only since better items were "
        f"pruned: {counts.promoted:,}."
    )
    if survival.unreachable:
        text += (
            f" {survival.unreachable:,} of the out-scored are retired or of probability zero: no "
            "search finds them."
        )
    return Finding("What was missed", text, _what_to_do(counts, misses))


def _what_to_do(counts: SurvivalCounts, misses: int) -> str:
    if counts.pruned == 0:
        return "The search lost no target that the model ranks best: only a better model helps."
    won = counts.pruned - counts.promoted
    luck = f"the {counts.promoted:,} returned only since better items were pruned"
    if won <= 0:
        return (
            f"Improve the model: a perfect search wins nothing, since for the {counts.pruned:,} "
            f"pruned it would give up {luck}."
        )
    if won < SMALL * misses:
        said = f"a perfect search could win back {percent(won / misses)} of the misses at most"
        given_up = f", {counts.pruned:,} targets less {luck}" if counts.promoted else ""
        return f"Improve the model first: {said}{given_up}."
    return "Search better first: widen the beam, or use exact search."


def _widths(survival: Survival) -> Finding:
    k, width = survival.config.top_k, survival.config.beam_width
    pruned = survival.beam.outcomes.pruned
    exact, beam = survival.exact[f"recall@{k}"], survival.beam.mean(f"recall@{k}") or 0.0
    text = (
        f"Recall@{k} is {beam:.4f} with a beam of {width} and {exact:.4f} with an exact ranking "
        f"of the same scores. "
    )
    if pruned >= FEW:
        back = [
            f"{each.width} {_won_back(1 - each.outcomes.pruned / pruned)}"
            for each in survival.widths
            if each.width > width
        ]
        if back:
            text += f"Of the {pruned:,} pruned targets, width {', '.join(back)}. "
    if exact < beam:
        text += (
            "The exact ranking finds fewer targets: here pruning removes items that the model "
            "overrates. That is luck of this model and data, or noise, not a property to rely on. "
        )
    return Finding("How wide a beam", text.strip(), _advised_width(survival))


def _won_back(share: float) -> str:
    return f"wins back {percent(share)}" if share >= 0 else f"loses {percent(-share)} more"


def _advised_width(survival: Survival) -> str:
    advice, k = survival.advice(), survival.config.top_k
    bound = f"within {percent(survival.config.tolerance)} of exact"
    if advice.width is None:
        said = (
            f"No width up to {survival.widths[-1].width} has recall@{k} and NDCG@{k} {bound}: "
            "use exact search, or measure wider beams (--set widths=[...])."
        )
    else:
        said = (
            f"Use width {advice.width}: the least with recall@{k} and NDCG@{k} {bound} (or above), "
            "as all wider ones have."
        )
    if advice.complete is not None and advice.complete != advice.width:
        said += (
            f" To return what the model really ranks best (99 % of the true best {k}), use "
            f"width {advice.complete} or exact search."
        )
    return said


def _retention(survival: Survival) -> Finding:
    k, kept, word = survival.config.top_k, survival.retention(survival.beam), survival.level_name
    told = survival.told_levels
    drops = [before - after for before, after in zip([1.0, *kept], kept, strict=False)]
    named = range(len(kept) - 1)
    if len(named) > MOST_NAMED:  # those at which most was lost
        named = sorted(sorted(named, key=lambda place: -drops[place])[:MOST_NAMED])
    steps = ", ".join(f"{percent(kept[i])} after {word} {told[i].name}" for i in named)
    text = (
        f"Of each user's true best {k} items, {steps + ', and ' if steps else ''}"
        f"{percent(kept[-1])} at the end are still there."
    )
    worst = max(range(len(drops)), key=drops.__getitem__)
    if drops[worst] < 0.02:
        return Finding("What the beam keeps of the best items", text, "")
    return Finding(
        "What the beam keeps of the best items",
        text,
        f"Most are lost at {_place(survival, worst)}: widen that first, or train with an objective "
        "that looks at prefixes (apao-pointwise, apao-pairwise, bear, prefix-survival).",
    )


def _levels(survival: Survival) -> Finding | None:
    by_level, told = survival.by_level(survival.beam), survival.told_levels
    lost = [each.pruned + each.outscored for each in by_level]
    if sum(lost) < FEW:
        return None
    worst = max(range(len(lost)), key=lost.__getitem__)
    level = next((each for each in survival.levels() if each.level == told[worst].number), None)
    text = f"{percent(lost[worst] / sum(lost))} of all losses happen at {_place(survival, worst)}"
    if told[worst].name != ITEMS:
        text += f" of {survival.num_levels}"
    if level is not None:
        text += (
            f", where the median target ranks {level.rank['q50']:,.0f} for {level.places} places"
        )
        if level.margin is not None:
            text += f" and lies {_above(level.margin['q50'])} the last of them"
    pruned = [each.pruned for each in by_level]
    most = max(range(len(pruned)), key=pruned.__getitem__)
    if sum(pruned) >= FEW:
        share = percent(pruned[most] / sum(pruned))
        text += f". Of the pruned targets, {share} were lost at {_place(survival, most)}"
    return Finding("Where targets are lost", text + ".", "")


def _place(survival: Survival, index: int) -> str:
    """Where in the search a level is, as `token 5`."""
    name = survival.told_levels[index].name
    return "the end, among whole items" if name == ITEMS else f"{survival.level_name} {name}"


def _above(nats: float) -> str:
    return f"{abs(nats):.2f} nats {'above' if nats >= 0 else 'below'}"


def _tokens(survival: Survival) -> Finding | None:
    widths = [each for each in survival.widths if each.within >= MANY]
    if not widths:
        return None
    shares = "; ".join(_token_share(each) for each in widths)
    return Finding(
        "Losses that one token explains",
        "Of the targets that rank among the best B items, a beam of width B pruned: "
        f"{shares}. A token outside the B most probable after its own true prefix is certain to "
        "be pruned; the rest had good tokens but a prefix that others outscore.",
        "",
    )


def _token_share(counts: WidthCounts) -> str:
    said = f"B = {counts.width}: {percent(counts.within_pruned / counts.within)} of {counts.within}"
    if counts.within_pruned:
        share = percent(counts.within_pruned_by_token / counts.within_pruned)
        said += f", of which {share} broke on a single token"
    return said


def _proofs(survival: Survival) -> Finding:
    shares = ", ".join(
        f"{percent(each.exact / each.outcomes.users)} at width {each.width}"
        for each in survival.wide_enough
    )
    return Finding(
        "Proved results",
        f"A beam knows when nothing that it pruned could have won. Users so proved: {shares}.",
        "",
    )


def _check(survival: Survival) -> Finding | None:
    names = survival.disagreeing()
    if not names:
        return None
    return Finding(
        "Warning: figures and searches disagree",
        f"Real searches ({', '.join(names)}) return other items than the scores of all prefixes "
        "say, for more users than rounding explains.",
        "Do not rely on this report; under low precision run the model in fp32.",
    )
