"""What a beam did for one user, level by level, as plain values to print, draw or save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PrefixState = Literal["kept", "returned", "pruned", "outscored"]
"""A prefix lives on; or it is a whole item's and among the results; or it found no place in the
beam; or it is a whole item's and below the last result."""


@dataclass(frozen=True)
class InspectedItem:
    """An item by its names."""

    item_id: str
    title: str | None


@dataclass(frozen=True)
class InspectedPrefix:
    """A prefix that the beam scored."""

    node: int
    """Of the catalog's tree."""
    parent: int
    tokens: tuple[int, ...]
    codes: tuple[int, ...] | None
    """Of the tokens but an end token; None where tokens are no codes."""
    text: str | None
    """What is written so far and by the forced tokens that follow, where items are titles."""
    log_prob: float
    """Of all its tokens, in nats."""
    rank: int
    """From 1, among those that compete with it: prefixes of its level that could live on, or all
    whole items found."""
    state: PrefixState
    num_items: int
    """Items below."""
    examples: tuple[InspectedItem, ...]
    """A few of them: the target and the exact search's first."""
    exact_ranks: tuple[int, ...]
    """Ranks of the items below that exact search returns."""
    is_target: bool
    """Whether the target is below."""

    @property
    def survived(self) -> bool:
        """Whether the beam went on with it or returned it."""
        return self.state in ("kept", "returned")


@dataclass(frozen=True)
class TargetAtLevel:
    """How the target's prefix stands against the prefixes that the beam scored."""

    state: PrefixState | Literal["lost before", "crowded out"]
    """That of its prefix; or the beam had lost it before; or its tokens are returned, but with
    other items, since some tokens stand for several and these fill the places."""
    log_prob: float
    rank: int
    """1 + competitors that score higher, also where the beam had lost it before and did not score
    it."""
    margin: float | None
    """Nats above the last that found a place, negative below it; None where there was a place for
    all."""


@dataclass(frozen=True)
class InspectedLevel:
    """One step of the beam."""

    number: int
    """From 1; tokens of its prefixes."""
    until: int
    """Tokens before the next step: where it is more than `number`, those in between are forced."""
    is_end: bool
    """Not a step, but the items whose last tokens were forced, so that no step has them. They are
    of up to `number` tokens."""
    width: int
    """Places for prefixes that go on."""
    num_expanded: int
    """Prefixes that lived, whose children were scored."""
    num_candidates: int
    """Children scored."""
    num_lost: int
    """Of them, those that neither live on nor are returned."""
    survivors: tuple[InspectedPrefix, ...]
    """All that live on or are returned, best first."""
    lost: tuple[InspectedPrefix, ...]
    """Best first: the best few, and all above the target or an item that exact search returns."""
    target: TargetAtLevel | None
    """None without a target, past its last token, or where it is retired."""


@dataclass(frozen=True)
class InspectedResult:
    """An item that the beam or exact search returns."""

    item_id: str
    title: str | None
    log_prob: float
    beam_rank: int | None
    exact_rank: int | None
    lost_at: int | None
    """Level at which the beam lost it; None where it did not."""
    is_target: bool


@dataclass(frozen=True)
class Inspection:
    """The beam's way for one user."""

    user_id: str | None
    split: str | None
    """Whose target is asked about; None where a history was given."""
    history: tuple[InspectedItem, ...]
    """What the model read, in time order."""
    num_unread: int
    """Older items of the history, which no model reads."""
    max_history: int
    """Most recent items of a history that the model reads."""
    splitting: str
    """How the data were parted into training and targets, as "leave-one-out"."""
    skipped: tuple[str, ...]
    """Unknown ids left out of the history given."""
    target: InspectedItem | None
    target_retired: bool
    """Whether nothing recommends the target any more."""
    beam_width: int | tuple[int, ...]
    top_k: int
    mask: str
    num_items: int
    num_levels: int
    level_name: str
    """What a number of `levels` counts: "level", or "token" where most of them are forced or items
    are titles."""
    codebook_size: int | None
    """Where token = 2 + level * codebook_size + code, levels from 0; None where not."""
    levels: tuple[InspectedLevel, ...]
    """Where most tokens are forced, those alone at which something had a choice."""
    results: tuple[InspectedResult, ...]
    """Of both searches, most probable first."""
    beam_exact: bool
    """Whether the beam itself proved that it lost nothing."""
    exact_proved: bool
    """Whether exact search proved its results; where not, they are the best that it found."""
    target_rank: int | None
    """Of the target's tokens among all of the catalog; None without one, where it is retired, or
    where the catalog is too large to rank whole."""

    @property
    def target_result(self) -> InspectedResult | None:
        """The target where one of the searches returns it."""
        return next((result for result in self.results if result.is_target), None)

    @property
    def is_crowded_out(self) -> bool:
        """Whether the beam returns the target's tokens, but other items in its place."""
        return any(level.target and level.target.state == "crowded out" for level in self.levels)

    @property
    def lost_at(self) -> InspectedLevel | None:
        """The level at which the beam lost the target."""
        states = ("pruned", "outscored")
        found = (level for level in self.levels if level.target and level.target.state in states)
        return next(found, None)
