"""What one forward pass of training reads: tensors only, made on the CPU, moved whole."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from beamwise.backbones.base import Backbone, History
from beamwise.catalog import Catalog
from beamwise.scoring.candidate_tree import Anchors, CandidateTree
from beamwise.sequences.negatives import Candidates, Scaling, competition
from beamwise.sequences.packing import PackedItems

Record = TypeVar("Record")


@dataclass(frozen=True)
class LegalTokens:
    """The tokens that may stand at every step of the targets' paths; see `LegalLogits`."""

    tokens: Int64[Tensor, " total"]
    places: Int64[Tensor, " total"]
    """The node whose hidden state predicts each, as in `CandidateTree.places`."""
    step: Int64[Tensor, " total"]
    counts: Int64[Tensor, "targets levels"]
    target_place: Int64[Tensor, "targets levels"]

    @classmethod
    def of(
        cls, catalog: Catalog, leaves: Int64[Tensor, " targets"], tree: CandidateTree
    ) -> LegalTokens:
        """The legal tokens along the paths of the targets' leaves."""
        exists = tree.tokens[:, 0] >= 0
        paths = catalog.leaf_nodes[leaves].long()
        upper = torch.nn.functional.pad(paths[:, :-1], (1, 0))[exists]  # the root is node 0
        children = catalog.children(upper)
        steps = exists.flatten().nonzero()[:, 0]
        is_target = children.nodes == paths[exists][children.owner]
        target_place = torch.zeros_like(paths)
        target_place[exists] = is_target.nonzero()[:, 0]
        counts = torch.zeros_like(paths)
        counts[exists] = torch.bincount(children.owner, minlength=len(upper))
        places = tree.places[:, 0][exists][children.owner]
        return cls(children.tokens, places, steps[children.owner], counts, target_place)


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
    legal: LegalTokens | None = None

    @classmethod
    def assemble(
        cls,
        backbone: Backbone,
        catalog: Catalog,
        histories: Int64[Tensor, "targets history"],
        candidates: Candidates,
        *,
        scaling: Scaling = "none",
        legal: bool = False,
    ) -> TrainingBatch:
        """One row a target.

        Args:
            backbone: Encodes the histories; not run.
            catalog: On the CPU.
            histories: Item indices, right-padded with -1.
            candidates: Column 0 the targets.
            scaling: How sampled negatives are weighted.
            legal: Whether the legal tokens of the targets' paths are wanted.
        """
        history = backbone.encode_histories(histories, catalog)
        anchors = Anchors.one_a_row(history.lengths)
        return cls._on(history, anchors, catalog, candidates, scaling, legal)

    @classmethod
    def assemble_packed(
        cls,
        backbone: Backbone,
        catalog: Catalog,
        packed: PackedItems,
        candidates: Candidates,
        *,
        scaling: Scaling = "none",
        legal: bool = False,
    ) -> TrainingBatch:
        """Rows of items of which several are targets, for a backbone with a causal context.

        Args:
            backbone: As in `assemble`; its `causal_context` must hold.
            catalog: On the CPU.
            packed: The items of every row, and where its targets stand, none of them first.
            candidates: A row a target, column 0 the target.
            scaling: As in `assemble`.
            legal: As in `assemble`.
        """
        history = backbone.encode_histories(packed.items, catalog)
        before = packed.tokens_before(catalog)
        anchors = Anchors(packed.rows, before, path_in_context=True)
        num_tokens = (catalog.leaf_tokens[candidates.leaves[:, 0]] >= 0).sum(1)
        read = torch.zeros_like(history.lengths)
        read.scatter_reduce_(0, packed.rows, before + num_tokens - 1, "amax")
        history = History(history.tokens[:, : int(read.max())], read)
        return cls._on(history, anchors, catalog, candidates, scaling, legal)

    @classmethod
    def _on(
        cls,
        history: History,
        anchors: Anchors,
        catalog: Catalog,
        candidates: Candidates,
        scaling: Scaling,
        legal: bool,
    ) -> TrainingBatch:
        tree = CandidateTree.of(catalog, candidates, anchors)
        found = competition(catalog, candidates, scaling)
        tokens = LegalTokens.of(catalog, candidates.leaves[:, 0], tree) if legal else None
        return cls(history, tree, found.counts, found.log_weights, found.is_item, tokens)

    @property
    def num_targets(self) -> int:
        """Targets, over all rows."""
        return len(self.counts)

    def to(self, device: torch.device) -> TrainingBatch:
        """The same batch on `device`."""
        return _moved(self, device)


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
