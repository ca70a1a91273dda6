"""Recommendations from a trained run: histories in, items with titles and log-probabilities out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.data.dataset import Dataset
from beamwise.decoding import ListedItems, SearchResult, beam_search, exact_ranking
from beamwise.decoding.request import widths_by_level
from beamwise.training.run import Run, open_run

Histories = Sequence[Sequence[str]] | Tensor | np.ndarray
"""Item ids in time order, or int64 `(users, history)` item indices right-padded with -1."""


class Recommendation(NamedTuple):
    """One recommended item."""

    item_id: str
    title: str | None
    log_prob: float
    """Of the item's whole token sequence given the history, in nats; where the catalog has items
    that came after training, steps the model never saw are a uniform choice among items below."""


def load(
    run_folder: Path | str,
    device: torch.device | str | None = None,
    *,
    data: Path | str | None = None,
) -> Recommender:
    """Open a run folder to recommend from it.

    Args:
        run_folder: What training wrote.
        device: Where to compute; a GPU if there is one, where not given.
        data: Dataset folder whose catalog and users take the place of the run's own: with items
            added or retired since, or tokenized like the run's.

    Raises:
        ValueError: If something that a run folder holds is missing, damaged, or does not fit.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    later = None if data is None else Path(data)
    return Recommender(open_run(Path(run_folder), device, later))


class Recommender:
    """A run that is ready to answer: by beam search, or exactly."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.catalog = run.catalog

    def recommend(
        self,
        histories: Histories,
        top_k: int = 10,
        *,
        eligible: Sequence[str] | None = None,
        excluded: Sequence[str] = (),
        exclude_history: bool = False,
        beam_width: int | Sequence[int] | None = None,
        skip_unknown: bool = False,
        exact: bool = False,
    ) -> list[list[Recommendation]]:
        """The most probable next items of each history, best first.

        Only the latest items of a history are read, as many as in training. An empty history is
        allowed.

        Args:
            histories: A history for each user; one alone is `[history]`.
            top_k: Items for each user; fewer come back only where fewer may be recommended.
            eligible: Ids of the items that may be recommended; all where not given.
            excluded: Ids of items that may not, whatever `eligible` says.
            exclude_history: Recommend to no user an item of the whole history given, those that
                are too old to be read too. Off by default, as models are evaluated.
            beam_width: Prefixes kept after each level, one number or one a level, the last >=
                top_k; the larger of the run's and top_k where not given.
            skip_unknown: Leave unknown ids out of histories, `eligible` and `excluded`, instead of
                refusing them.
            exact: Whether the items are proved to be the most probable of all. As a rule that is
                up to three times the work of a beam search, and more where the proof does not fit,
                since all leaves are scored then; there is no `beam_width`.

        Raises:
            ValueError: If an id is unknown, `eligible` and `excluded` leave nothing, or an argument
                is out of range.
        """
        self._check_top_k(top_k)
        if exact and beam_width is not None:
            raise ValueError(
                f"beam_width={beam_width} is for a beam search, not an exact one: give one of both"
            )
        allowed = self._allowed(eligible, excluded, skip_unknown)
        whole = self._as_indices(histories, skip_unknown)
        latest = _latest(whole, self.run.config.data.max_history)
        size = self.run.config.evaluation.batch_size
        found: list[list[Recommendation]] = []
        for start in range(0, len(whole), size):
            batch = slice(start, start + size)
            taken = whole[batch].to(self.catalog.device) if exclude_history else None
            left = allowed if taken is None else _without(taken, allowed)
            given = latest[batch].to(self.catalog.device)
            result = (
                self._best(given, top_k, left)
                if exact
                else self._beam(given, beam_width, top_k, left)
            )
            found.extend(self._described(result))
        return found

    def _beam(
        self,
        histories: Tensor,
        beam_width: int | Sequence[int] | None,
        top_k: int,
        eligible: Tensor | ListedItems | None,
    ) -> SearchResult:
        settings = self.run.config.evaluation
        own, _ = widths_by_level(settings.beam_width, None, self.catalog)
        width = [max(each, top_k) for each in own] if beam_width is None else beam_width
        last = widths_by_level(width, None, self.catalog)[1]
        if last < top_k:  # where items differ in length, a search may return more than it is wide
            raise ValueError(
                f"top_k must be in 1..{last}, the last beam_width, got {top_k}: widen the beam"
            )
        backbone = cast(Backbone, self.run.backbone)
        return beam_search(backbone, histories, self.catalog, width, top_k, settings.mask, eligible)

    def _best(
        self, histories: Tensor, top_k: int, eligible: Tensor | ListedItems | None
    ) -> SearchResult:
        backbone, mask = cast(Backbone, self.run.backbone), self.run.config.evaluation.mask
        return exact_ranking(backbone, histories, self.catalog, top_k, mask, eligible)

    def item_ids_of_titles(self, titles: Sequence[str]) -> list[str]:
        """The item of each title, upper and lower case alike; the first where items share one.

        Raises:
            ValueError: If no item has a title; the nearest is shown.
        """
        for title in titles:
            if title.casefold() not in self._item_of_title:
                raise ValueError(self._unknown_title(title))
        ids = self.catalog.item_ids
        return [ids[self._item_of_title[title.casefold()]] for title in titles]

    def unknown_ids(self, item_ids: Sequence[str]) -> list[str]:
        """Those that the catalog does not have, each once."""
        return [item for item in dict.fromkeys(item_ids) if item not in self._known_ids]

    def titles_of(self, item_ids: Sequence[str]) -> list[str | None]:
        """The title of each item, None where the data give none."""
        rows = self.catalog.indices_of(item_ids).tolist()
        return self.run.items["title"].gather(rows).to_list()

    def history_of_user(self, user_id: str) -> list[str]:
        """Ids of all the items that a user of the run's data took, in time order.

        Raises:
            ValueError: If the data are missing, or have no such user.
        """
        folder = self.run.data
        items = Dataset.load(folder).interactions.items_of_user(user_id)
        if not items:
            raise ValueError(f"no user {user_id!r} in {folder}: give a user_id of its interactions")
        return items

    @cached_property
    def _item_of_title(self) -> dict[str, int]:
        titles = self.run.items["title"].to_list()
        rows = range(len(titles) - 1, -1, -1)
        return {titles[row].casefold(): row for row in rows if titles[row] is not None}

    @cached_property
    def _known_ids(self) -> frozenset[str]:
        return frozenset(self.catalog.item_ids)

    def _check_top_k(self, top_k: int) -> None:
        if not 1 <= top_k <= self.catalog.num_items:
            raise ValueError(
                f"top_k must be in 1..{self.catalog.num_items}, the items of the catalog, "
                f"got {top_k}"
            )

    def _allowed(
        self, eligible: Sequence[str] | None, excluded: Sequence[str], skip_unknown: bool
    ) -> Bool[Tensor, " items"] | None:
        """Which items may be recommended, None where nothing is said of it."""
        if eligible is None and not len(excluded):
            return None
        allowed = ~self._as_mask("excluded", excluded, skip_unknown)
        if eligible is not None:
            allowed &= self._as_mask("eligible", eligible, skip_unknown)
        retired = self.catalog.retired
        if not bool((allowed if retired is None else allowed & ~retired).any()):
            raise ValueError(
                f"no item may be recommended: of the {self.catalog.num_items:,} of the catalog, "
                "eligible and excluded leave none that is not retired; name others"
            )
        return allowed

    def _as_mask(self, name: str, ids: Sequence[str], skip_unknown: bool) -> Bool[Tensor, " items"]:
        mask = torch.zeros(self.catalog.num_items, dtype=torch.bool, device=self.catalog.device)
        if skip_unknown:
            ids = [item for item in ids if item in self._known_ids]
        try:
            mask[self.catalog.indices_of(ids)] = True
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        return mask

    def _as_indices(self, histories: Histories, skip_unknown: bool) -> Int64[Tensor, "users width"]:
        if isinstance(histories, Tensor | np.ndarray):
            return torch.as_tensor(histories)
        for history in histories:
            if isinstance(history, str):
                raise ValueError(
                    f"histories must be a list of histories, got the text {history!r} in it: "
                    "write [history] for one user"
                )
        if skip_unknown:
            histories = [[i for i in history if i in self._known_ids] for history in histories]
        lengths = torch.tensor([len(history) for history in histories], dtype=torch.int64)
        width = max(1, int(lengths.max())) if len(lengths) else 1
        table = torch.full((len(lengths), width), -1)
        flat = self.catalog.indices_of([item for history in histories for item in history])
        table[torch.arange(width) < lengths[:, None]] = flat.cpu()
        return table

    def _described(self, result: SearchResult) -> Iterator[list[Recommendation]]:
        ids, titles = self.catalog.item_ids, self.run.items["title"]
        for items, log_probs in zip(result.items.cpu(), result.log_probs.cpu(), strict=True):
            rows = items[items >= 0].tolist()
            yield [
                Recommendation(*described)
                for described in zip(
                    ids.gather(rows), titles.gather(rows), log_probs[items >= 0].tolist(),
                    strict=True,
                )
            ]  # fmt: skip

    def _unknown_title(self, title: str) -> str:
        nearest = difflib.get_close_matches(title.casefold(), self._item_of_title, n=1, cutoff=0.3)
        if not self._item_of_title:
            return f"no item has the title {title!r}: the data have no titles, give item ids"
        if not nearest:
            return f"no item has the title {title!r}: give a title of the data, or item ids"
        proper = self.run.items["title"][self._item_of_title[nearest[0]]]
        return f"no item has the title {title!r}; did you mean {proper!r}?"


def _without(
    taken: Tensor, eligible: Bool[Tensor, " items"] | None
) -> Bool[Tensor, "users items"] | Bool[Tensor, " items"] | ListedItems:
    """What each user may be recommended: eligible items, all where None, not taken by the user.

    Memory grows with the catalog, times users, only where some items are not eligible.
    """
    if eligible is None:
        return ListedItems(taken, only=False)
    num_items = len(eligible)
    if taken.ndim != 2 or taken.dtype != torch.int64:
        return eligible  # the search says what is wrong
    if bool((taken >= num_items).any()):  # maybe where it is too old for the search to see
        raise ValueError(
            f"histories must hold item indices 0..{num_items - 1} or -1 for padding, got "
            f"{int(taken.max())}: use the catalog that they were made with"
        )
    is_taken = torch.zeros(len(taken), num_items + 1, dtype=torch.bool, device=taken.device)
    is_taken.scatter_(1, torch.where(taken < 0, num_items, taken), value=True)
    return ~is_taken[:, :num_items] & eligible


def _latest(histories: Tensor, most: int) -> Int64[Tensor, "users width"]:
    """The last `most` items of every row, right-padded with -1."""
    if histories.ndim != 2 or histories.dtype != torch.int64 or histories.shape[1] <= most:
        return histories  # where the shape or the type is wrong, the search says so
    lengths = (histories >= 0).sum(dim=1)
    columns = (lengths - most).clamp(min=0)[:, None] + torch.arange(most, device=histories.device)
    kept = histories.gather(1, columns.clamp(max=histories.shape[1] - 1))
    return kept.masked_fill(columns >= lengths[:, None], -1)
