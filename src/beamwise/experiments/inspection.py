"""Follow the beam for one user of a run: what lived, what was lost, what exact search finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import polars as pl
import torch
from jaxtyping import Int64
from pydantic import PositiveInt, model_validator
from torch import Tensor

from beamwise.backbones.base import Backbone
from beamwise.config import Config
from beamwise.decoding import beam_search, exact_search, node_log_probs
from beamwise.decoding.request import SearchRequest, widths_by_level
from beamwise.decoding.runs import follows_runs
from beamwise.evaluation.evaluation import BeamWidth
from beamwise.evaluation.survival_counts import num_prefixes_scored
from beamwise.evaluation.survival_targets import target_places
from beamwise.evaluation.survival_tree import ScoredTree
from beamwise.experiments.beam_trace import path_log_probs, trace_beam
from beamwise.experiments.evaluate_run import data_of, part_of
from beamwise.experiments.inspected_levels import Found, LevelDescriber, codebook_size_of
from beamwise.experiments.inspected_steps import levels_as_they_are, levels_with_a_choice
from beamwise.experiments.prefix_texts import PrefixTexts
from beamwise.report.inspection import Inspection
from beamwise.training.run import Run, open_run
from beamwise.training.run_data import RunData

MOST_OPERATIONS = 1e13
"""Multiplications, about a weight for each prefix, of the largest ranking of the whole catalog that
says where the target stands in it: some minutes of one core for a language model, and every catalog
of up to 2**18 prefixes for a small one."""
MAX_PREFIXES = 2**15
"""Prefixes that exact search may score: one user is worth more than one of an evaluation."""


class InspectionConfig(Config):
    """Whom to ask about, and how to search; give `user` or `history`."""

    user: str | None = None
    """A user of the data: the history before the target of `split`, the latest where several."""
    split: Literal["test", "validation"] = "test"
    """Whose targets."""
    history: tuple[str, ...] | None = None
    """Item ids in time order; () is a new user."""
    target: str | None = None
    """With `history`: the item to follow through the beam."""
    skip_unknown: bool = False
    """Leave unknown ids out of `history`, instead of refusing them."""
    beam_width: BeamWidth | None = None
    """Prefixes kept after each level; the run's own setting where not given."""
    mask: Literal["after", "before"] | None = None
    """Mask illegal tokens after or before the softmax; as above."""
    top_k: PositiveInt | None = None
    """Results of both searches; as many as `beam_width`, or all items, where not given."""
    num_lost: PositiveInt = 5
    """Lost prefixes to name on each level, the best, beside those that matter."""

    @model_validator(mode="after")
    def _asks_about_someone(self) -> InspectionConfig:
        if (self.user is None) == (self.history is None):
            got = "neither" if self.user is None else "both"
            raise ValueError(f"give a user or a history, got {got}")
        if self.target is not None and self.history is None:
            raise ValueError("a target belongs to a history; a user's is that of the data")
        return self


@dataclass(frozen=True)
class Question:
    """Whom the beam is followed for."""

    history: Int64[Tensor, " items"]
    """The whole history in time order, as item indices."""
    target: int | None
    user_id: str | None = None
    split: str | None = None
    skipped: tuple[str, ...] = ()


def inspect_run(
    run: Path | str, config: InspectionConfig, *, data: Path | str | None = None
) -> Inspection:
    """Follow the beam of a run for one user.

    Args:
        run: A run folder.
        config: Whom to ask about, and how to search.
        data: Dataset folder whose catalog and users take the place of the run's own.

    Raises:
        ValueError: If the run or its data are missing, damaged or unfit, the user or an item is
            unknown, or a setting is out of range.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    opened = open_run(Path(run), device, None if data is None else Path(data))
    return inspect_opened(opened, lambda: data_of(opened), config)


def inspect_opened(run: Run, data: Callable[[], RunData], config: InspectionConfig) -> Inspection:
    """As `inspect_run`, for a run that is open, or for the `run` of a foreign model.

    Args:
        run: Model and catalog.
        data: Gives the users; called only where one is asked about.
        config: As in `inspect_run`.
    """
    _check_sizes(run, config)
    if config.user is not None:
        question = _question_of_user(data(), config.user, config.split)
    else:
        question = _question_of_history(run, config)
    return _follow(run, question, config)


def _check_sizes(run: Run, config: InspectionConfig) -> None:
    num_items = run.catalog.num_items
    if config.top_k is not None and config.top_k > num_items:
        raise ValueError(
            f"top_k must be in 1..{num_items}, the items of the catalog, got {config.top_k}"
        )


def _question_of_user(data: RunData, user: str, split: Literal["test", "validation"]) -> Question:
    place = data.user_ids.index_of(user)
    if place is None:
        raise ValueError(
            f"no user {user!r} among the {len(data.user_ids):,} of the data: give a user_id of "
            f"its interactions, as {data.user_ids[0]!r}"
        )
    windows = part_of(data, split)
    rows = (windows.users == place).nonzero()[:, 0]
    if not len(rows):
        raise ValueError(
            f"user {user!r} has no {split} target: ask about another user, another split, or give "
            "the history"
        )
    row = rows[-1:]
    before = windows.items_until(row, windows.positions[row] + 1)[0]
    return Question(before[:-1], int(before[-1]), user, split)


def _question_of_history(run: Run, config: InspectionConfig) -> Question:
    catalog = run.catalog
    history = pl.Series("item_id", config.history or (), dtype=pl.String)
    skipped: tuple[str, ...] = ()
    if config.skip_unknown:
        known = history.is_in(catalog.item_ids.implode())
        skipped = tuple(history.filter(~known).to_list())
        history = history.filter(known)
    target = None
    if config.target is not None:
        target = int(catalog.indices_of([config.target])[0])
    return Question(catalog.indices_of(history).cpu(), target, skipped=skipped)


def _follow(run: Run, question: Question, config: InspectionConfig) -> Inspection:
    catalog, settings, own = run.catalog, run.config.data, run.config.evaluation
    backbone = cast(Backbone, run.backbone)
    width = config.beam_width or own.beam_width
    mask = config.mask or own.mask
    widths, last = widths_by_level(width, None, catalog)
    top_k = config.top_k or min(last, catalog.num_items)
    read = question.history[-settings.max_history :]
    histories = torch.full((1, max(1, len(read))), -1)
    histories[0, : len(read)] = read
    histories = histories.to(catalog.device)
    beam = beam_search(backbone, histories, catalog, width, top_k, mask)
    best = exact_search(backbone, histories, catalog, top_k, mask, max_prefixes=MAX_PREFIXES)
    request = SearchRequest(backbone, histories, catalog, top_k, mask, None)
    traced = trace_beam(request, widths)
    followed = best.items[0][best.items[0] >= 0]
    if question.target is not None:
        followed = torch.cat((followed, followed.new_tensor([question.target])))
    found = Found(beam, best, question.target, path_log_probs(request, followed))
    texts = PrefixTexts.of_run(run)
    describer = LevelDescriber(catalog, run.items["title"], traced, found, texts)
    folds, num_lost = follows_runs(catalog), config.num_lost
    levels = (
        levels_with_a_choice(describer, catalog, traced, widths, num_lost)
        if folds
        else levels_as_they_are(describer, widths, len(traced), num_lost)
    )
    weights = sum(each.numel() for each in run.backbone.parameters())
    is_retired = (
        question.target is not None
        and catalog.retired is not None
        and bool(catalog.retired[question.target])
    )
    return Inspection(
        user_id=question.user_id,
        split=question.split,
        history=describer.items(read.tolist()),
        num_unread=len(question.history) - len(read),
        max_history=settings.max_history,
        splitting=settings.split.name,
        skipped=question.skipped,
        target=None if question.target is None else describer.items([question.target])[0],
        target_retired=is_retired,
        beam_width=width,
        top_k=top_k,
        mask=mask,
        num_items=catalog.num_items,
        num_levels=catalog.num_levels,
        level_name="token" if folds or texts is not None else "level",
        codebook_size=None if texts is not None else codebook_size_of(catalog),
        levels=levels,
        results=describer.results(),
        beam_exact=bool(beam.exact[0]),
        exact_proved=bool(best.exact[0]),
        target_rank=None if is_retired else _rank_of_target(request, question.target, weights),
    )


def _rank_of_target(request: SearchRequest, target: int | None, weights: int) -> int | None:
    """The target's place among all leaves; None where it has no probability, or takes too long."""
    catalog = request.catalog
    if target is None:
        return None
    if weights * num_prefixes_scored(catalog, request.mask) > MOST_OPERATIONS:
        return None
    scores = node_log_probs(request.backbone, request.histories, catalog, request.mask)
    leaf = catalog.leaf_of_item[[target]].long()
    is_there = torch.ones_like(leaf, dtype=torch.bool)
    places = target_places(ScoredTree(catalog, scores), leaf, is_there)
    rank = int(places.ranks[0, -1])
    return rank if rank > 0 else None
