"""The steps of a traced beam in words that people know: codes, titles, ranks, margins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import polars as pl
import torch
from jaxtyping import Int64
from torch import Tensor

from beamwise.catalog import NUM_SPECIAL_TOKENS, Catalog
from beamwise.decoding import SearchResult
from beamwise.decoding.levels import Prefixes
from beamwise.experiments.beam_trace import TracedLevel
from beamwise.experiments.prefix_texts import PrefixTexts
from beamwise.report.inspection import (
    InspectedItem,
    InspectedLevel,
    InspectedPrefix,
    InspectedResult,
    PrefixState,
    TargetAtLevel,
)

EXAMPLES = 3
"""Items that are named below a prefix."""
SURVIVE = ("kept", "returned")
ENDS = ("returned", "outscored")


@dataclass(frozen=True, eq=False)
class Found:
    """What the searches for one user found."""

    beam: SearchResult
    exact: SearchResult
    target: int | None
    path_log_probs: dict[int, float]
    """Of the prefixes of the exact search's items and of the target, by node."""


class _Scored(NamedTuple):
    """A prefix that the beam scored."""

    node: int
    log_prob: float
    rank: int
    state: PrefixState


class LevelDescriber:
    """Describes the levels of one user's beam."""

    def __init__(
        self,
        catalog: Catalog,
        titles: pl.Series,
        traced: Sequence[TracedLevel],
        found: Found,
        texts: PrefixTexts | None = None,
    ) -> None:
        self._catalog = catalog
        self._titles = titles
        self._traced = traced
        self._found = found
        self._texts = texts
        self._codebook_size = codebook_size_of(catalog)
        self._scored = _scored_by_level(catalog, traced, found.beam)

    def items(self, indices: Sequence[int]) -> tuple[InspectedItem, ...]:
        """Items by their names."""
        ids, titles = self._catalog.item_ids, self._titles
        return tuple(InspectedItem(ids[index], titles[index]) for index in indices)

    def _parted(
        self, scored: Sequence[_Scored], num_lost: int
    ) -> tuple[list[_Scored], list[_Scored]]:
        """Those that go on or are returned, and of the others those to name."""
        survivors = [each for each in scored if each.state in SURVIVE]
        lost = [each for each in scored if each.state not in SURVIVE]
        matter = self._ranks_below.keys() | set(self._target_path)
        named = lost[:num_lost] + [each for each in lost[num_lost:] if each.node in matter]
        return survivors, named

    def level(self, index: int, width: int, num_lost: int) -> InspectedLevel:
        """One level; of its lost prefixes the best `num_lost` and all that matter."""
        scored = self._scored[index]
        survivors, named = self._parted(scored, num_lost)
        return InspectedLevel(
            number=index + 1,
            until=index + 1,
            is_end=False,
            width=width,
            num_expanded=1 if index == 0 else len(self._traced[index - 1].kept.nodes),
            num_candidates=len(scored),
            num_lost=len(scored) - len(survivors),
            survivors=tuple(self._prefix(index, each) for each in survivors),
            lost=tuple(self._prefix(index, each) for each in named),
            target=self._target_at(index),
        )

    def the_end(self, indices: Sequence[int], num_lost: int) -> InspectedLevel | None:
        """The items that ended on some of the levels, as a level of their own; None without any."""
        ended = [each for index in indices for each in self._scored[index] if each.state in ENDS]
        if not ended:
            return None
        survivors, named = self._parted(sorted(ended, key=lambda each: each.rank), num_lost)
        last = len(self._target_path) - 1
        return InspectedLevel(
            number=len(self._traced),
            until=len(self._traced),
            is_end=True,
            width=len(survivors),
            num_expanded=len(ended),
            num_candidates=len(ended),
            num_lost=len(ended) - len(survivors),
            survivors=tuple(self._prefix(self._length(each) - 1, each) for each in survivors),
            lost=tuple(self._prefix(self._length(each) - 1, each) for each in named),
            target=self._target_at(last) if last in indices else None,
        )

    def results(self) -> tuple[InspectedResult, ...]:
        """All that either search returns, most probable first."""
        scores: dict[int, float] = {}
        ranks: list[dict[int, int]] = []
        for search in (self._found.beam, self._found.exact):
            items = [item for item in search.items[0].tolist() if item >= 0]
            found = dict(zip(items, search.log_probs[0].tolist(), strict=False))
            scores = found | scores  # rounding must not tell the two searches apart
            ranks.append({item: rank for rank, item in enumerate(items, start=1)})
        beam, exact = ranks
        order = sorted(scores, key=lambda item: (-scores[item], exact.get(item, 0), item))
        return tuple(
            InspectedResult(
                item_id=self._catalog.item_ids[item],
                title=self._titles[item],
                log_prob=scores[item],
                beam_rank=beam.get(item),
                exact_rank=exact.get(item),
                lost_at=None if item in beam else self._lost_at(item),
                is_target=item == self._found.target,
            )
            for item in order
        )

    def _prefix(self, index: int, scored: _Scored) -> InspectedPrefix:
        catalog, node = self._catalog, scored.node
        leaf = int(catalog.leaf_start[node])
        below = self._items_below(node)
        tokens = tuple(catalog.leaf_tokens[leaf, : index + 1].tolist())
        return InspectedPrefix(
            node=node,
            parent=0 if index == 0 else int(catalog.leaf_nodes[leaf, index - 1]),
            tokens=tokens,
            codes=self._codes(tokens),
            text=None if self._texts is None else self._texts.of(node),
            log_prob=scored.log_prob,
            rank=scored.rank,
            state=scored.state,
            num_items=len(below),
            examples=self.items(self._examples(node, below)),
            exact_ranks=tuple(self._ranks_below.get(node, ())),
            is_target=node in self._target_path,
        )

    def _length(self, item: _Scored) -> int:
        """Tokens of a whole item."""
        leaf = self._catalog.leaf_start[item.node]
        return int((self._catalog.leaf_tokens[leaf] >= 0).sum())

    def _codes(self, tokens: tuple[int, ...]) -> tuple[int, ...] | None:
        size = self._codebook_size
        if size is None:
            return None
        num_codes = self._catalog.num_levels - (self._catalog.end_token is not None)
        firsts = range(NUM_SPECIAL_TOKENS, NUM_SPECIAL_TOKENS + num_codes * size, size)
        return tuple(token - first for token, first in zip(tokens, firsts, strict=False))

    def _items_below(self, node: int) -> Int64[Tensor, " items"]:
        """Items that the catalog has not retired, in the order of their leaves."""
        catalog = self._catalog
        first = int(catalog.leaf_item_start[int(catalog.leaf_start[node])])
        stop = int(catalog.leaf_item_start[int(catalog.leaf_stop[node])])
        items = catalog.leaf_items[first:stop].long()
        return items if catalog.retired is None else items[~catalog.retired[items]]

    def _examples(self, node: int, below: Int64[Tensor, " items"]) -> list[int]:
        """Some of the items below a node: the target, the exact search's, then any."""
        target = self._found.target
        mine = [target] if target is not None and bool((below == target).any()) else []
        exact = [self._exact_items[rank - 1] for rank in self._ranks_below.get(node, ())]
        # so many that the named ones among them leave enough
        others = below[: 2 * EXAMPLES].tolist()
        return list(dict.fromkeys([*mine, *exact, *others]))[:EXAMPLES]

    def _target_at(self, index: int) -> TargetAtLevel | None:
        if index >= len(self._target_path):
            return None
        node = self._target_path[index]
        is_leaf = index + 1 == len(self._target_path)
        levels = self._scored if is_leaf else self._scored[index : index + 1]
        states = ("returned", "outscored") if is_leaf else ("kept", "pruned")
        rivals = [each for level in levels for each in level if each.state in states]
        found = next((each for each in rivals if each.node == node), None)
        log_prob = self._found.path_log_probs.get(node) if found is None else found.log_prob
        if log_prob is None:
            return None
        placed = [each.log_prob for each in rivals if each.state in SURVIVE]
        is_full = len(placed) < len(rivals)
        return TargetAtLevel(
            state="lost before" if found is None else self._state_of_target(found),
            log_prob=log_prob,
            rank=found.rank if found else 1 + sum(each.log_prob > log_prob for each in rivals),
            margin=log_prob - min(placed) if is_full and placed else None,
        )

    def _state_of_target(self, found: _Scored) -> PrefixState | Literal["crowded out"]:
        returns = self._found.beam.items[0].tolist()
        is_there = found.state != "returned" or self._found.target in returns
        return found.state if is_there else "crowded out"

    def _lost_at(self, item: int) -> int | None:
        for index, node in enumerate(self._path(item)):
            states = {each.node: each.state for each in self._scored[index]}
            if states.get(node, "pruned") == "pruned":
                return index + 1
        return None

    def _path(self, item: int) -> list[int]:
        nodes = self._catalog.leaf_nodes[int(self._catalog.leaf_of_item[item])].tolist()
        return [node for node in nodes if node >= 0]

    @cached_property
    def _target_path(self) -> list[int]:
        return [] if self._found.target is None else self._path(self._found.target)

    @cached_property
    def _exact_items(self) -> list[int]:
        return [item for item in self._found.exact.items[0].tolist() if item >= 0]

    @cached_property
    def _ranks_below(self) -> dict[int, list[int]]:
        """Ranks of the exact search's items below each node that has any."""
        below: dict[int, list[int]] = {}
        for rank, item in enumerate(self._exact_items, start=1):
            for node in self._path(item):
                below.setdefault(node, []).append(rank)
        return below


def _scored_by_level(
    catalog: Catalog, traced: Sequence[TracedLevel], beam: SearchResult
) -> list[list[_Scored]]:
    """All prefixes that each step scored, best first."""
    leaves = beam.leaves[0]
    returned = set(catalog.leaf_nodes[leaves[leaves >= 0]].amax(dim=1).tolist())
    ended = sorted(
        (-log_prob, leaf, node)
        for step in traced
        for (node, log_prob), leaf in zip(
            _pairs(step.ended), catalog.leaf_start[step.ended.nodes].tolist(), strict=True
        )
    )
    leaf_rank = {node: rank for rank, (_, _, node) in enumerate(ended, start=1)}
    levels: list[list[_Scored]] = []
    for step in traced:
        kept, dropped = _pairs(step.kept), _pairs(step.dropped)
        scored = [_Scored(*pair, rank, "kept") for rank, pair in enumerate(kept, start=1)]
        first = len(kept) + 1
        scored += [_Scored(*pair, rank, "pruned") for rank, pair in enumerate(dropped, first)]
        for node, log_prob in _pairs(step.ended):
            state = "returned" if node in returned else "outscored"
            scored.append(_Scored(node, log_prob, leaf_rank[node], state))
        levels.append(sorted(scored, key=lambda each: (-each.log_prob, each.node)))
    return levels


def _pairs(prefixes: Prefixes) -> list[tuple[int, float]]:
    return list(zip(prefixes.nodes.tolist(), prefixes.log_probs.tolist(), strict=True))


def codebook_size_of(catalog: Catalog) -> int | None:
    """The size with which every token is 2 + level * size + code; None where there is none."""
    num_levels = catalog.num_levels - (catalog.end_token is not None)
    size, rest = divmod(catalog.vocab_size - NUM_SPECIAL_TOKENS, max(1, num_levels))
    if num_levels < 1 or rest or size < 1:
        return None
    tokens: Int64[Tensor, "leaves levels"] = catalog.leaf_tokens[:, :num_levels].long()
    first = NUM_SPECIAL_TOKENS + size * torch.arange(num_levels, device=catalog.device)
    fits = (tokens >= first) & (tokens < first + size)
    return size if bool(fits.all()) else None
