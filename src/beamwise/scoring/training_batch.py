"""What one forward pass of training reads: tensors only, made on the CPU, moved whole."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, History
from beamwise.catalog import Catalog
from beamwise.objectives.base import Needs, PrefixLevels
from beamwise.scoring.candidate_tree import Anchors, CandidateTree
from beamwise.scoring.legal_tokens import LegalProducts, LegalTokens
from beamwise.sequences.negatives import Candidates, Scaling, competition
from beamwise.sequences.packing import PackedItems
from beamwise.sequences.prefix_levels import (
    Steps,
    num_prefixes,
    prefix_competition,
    prefix_lengths,
)

Record = TypeVar("Record")


@dataclass(frozen=True)
class TrainingBatch:
    """Some targets with their histories, their candidates as a tree, and who competes where.

    A row of the history may hold one target's context, or many targets' contexts in one.
    """

    history: History
    tree: CandidateTree
    counts: Bool[Tensor, "targets candidates levels"]
    log_weights: Float[Tensor, "targets candidates levels"] | None = None
    is_item: Bool[Tensor, "targets candidates"] | None = None
    legal: LegalTokens | LegalProducts | None = None
    prefixes: PrefixLevels | None = None

    @classmethod
    def assemble(
        cls,
        backbone: Backbone,
        catalog: Catalog,
        histories: Int64[Tensor, "targets history"],
        candidates: Candidates,
        *,
        scaling: Scaling = "none",
        needs: Needs | None = None,
    ) -> TrainingBatch:
        """One row a target.

        Args:
            backbone: Encodes the histories; not run.
            catalog: On the CPU.
            histories: Item indices, right-padded with -1.
            candidates: Column 0 the targets.
            scaling: How sampled negatives are weighted.
            needs: What the scorer will be asked for; log-probabilities where not given.
        """
        history = backbone.encode_histories(histories, catalog)
        return cls.assemble_encoded(history, catalog, candidates, scaling=scaling, needs=needs)

    @classmethod
    def assemble_encoded(
        cls,
        history: History,
        catalog: Catalog,
        candidates: Candidates,
        *,
        scaling: Scaling = "none",
        needs: Needs | None = None,
    ) -> TrainingBatch:
        """As `assemble`, of histories that the backbone has encoded."""
        wanted = _Wanted(catalog, candidates, scaling, needs or Needs())
        return wanted.on(history, Anchors.one_a_row(history.lengths))

    @classmethod
    def assemble_packed(
        cls,
        backbone: Backbone,
        catalog: Catalog,
        packed: PackedItems,
        candidates: Candidates,
        *,
        scaling: Scaling = "none",
        needs: Needs | None = None,
    ) -> TrainingBatch:
        """Rows of items of which several are targets, for a backbone with a causal context.

        Args:
            backbone: As in `assemble`; its `causal_context` must hold.
            catalog: On the CPU.
            packed: The items of every row, and where its targets stand, none of them first.
            candidates: A row a target, column 0 the target.
            scaling: As in `assemble`.
            needs: As in `assemble`.
        """
        history = backbone.encode_histories(packed.items, catalog)
        before = packed.tokens_before(catalog)
        wanted = _Wanted(catalog, candidates, scaling, needs or Needs())
        read = torch.zeros_like(history.lengths)
        read.scatter_reduce_(0, packed.rows, before + wanted.num_tokens - 1, "amax")
        history = History(history.tokens[:, : int(read.max())], read)
        return wanted.on(history, Anchors(packed.rows, before, path_in_context=True))

    @property
    def num_targets(self) -> int:
        """Targets, over all rows."""
        return len(self.counts)

    def to(self, device: torch.device) -> TrainingBatch:
        """The same batch on `device`."""
        return _moved(self, device)


class _Wanted(NamedTuple):
    """What is to be scored of some candidates."""

    catalog: Catalog
    candidates: Candidates
    scaling: Scaling
    needs: Needs

    @property
    def targets(self) -> Int64[Tensor, " targets"]:
        """Their leaves."""
        return self.candidates.leaves[:, 0]

    @property
    def num_tokens(self) -> Int64[Tensor, " targets"]:
        """Tokens of every target that something is computed of."""
        if self.needs.vocabulary:
            return (self.catalog.leaf_tokens[self.targets] >= 0).sum(1)
        return Steps.of(self.catalog, self.targets).decided_after

    def on(self, history: History, anchors: Anchors) -> TrainingBatch:
        """The batch, over histories that are encoded."""
        catalog, needs = self.catalog, self.needs
        scored, legal = self.candidates, None
        if not needs.vocabulary:
            scored = Candidates(self.targets[:, None], self.num_tokens[:, None])
        tree = CandidateTree.of(catalog, scored, anchors)
        if needs.legal_logits:
            kind = LegalTokens if needs.vocabulary else LegalProducts
            legal = kind.of(catalog, self.targets, tree)
        found = competition(catalog, self.candidates, self.scaling)
        prefixes = self._prefixes() if needs.branching_levels else None
        weights, is_item = found.log_weights, found.is_item
        return TrainingBatch(history, tree, found.counts, weights, is_item, legal, prefixes)

    def _prefixes(self) -> PrefixLevels:
        count = num_prefixes(self.catalog, self.needs.max_prefixes)
        lengths = prefix_lengths(self.catalog, self.targets, count)
        found = prefix_competition(self.catalog, self.candidates, lengths, self.scaling)
        return PrefixLevels(lengths, *found)


def _moved(record: Record, device: torch.device) -> Record:
    """A dataclass of tensors and such dataclasses, on `device`."""
    changes = {}
    for field in fields(record):  # pyright: ignore[reportArgumentType]
        value = record.__dict__[field.name]
        if isinstance(value, Tensor):
            changes[field.name] = value.to(device, non_blocking=True)
        elif is_dataclass(value):
            changes[field.name] = _moved(value, device)
    return replace(record, **changes)  # pyright: ignore[reportArgumentType]
