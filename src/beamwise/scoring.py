"""From histories and candidate items to their log-probabilities: the tree, the pass, the scores."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from beamwise.backbones.base import START_TOKEN, History, PrefixNodes
from beamwise.catalog import Catalog
from beamwise.objectives.base import CandidateScores, Needs
from beamwise.sequences.negatives import Scaling, competition

if TYPE_CHECKING:
    from beamwise.backbones.base import Backbone


@dataclass(frozen=True)
class CandidateTree:
    """Every distinct prefix of a row's candidates once, level by level, ready to be scored."""

    nodes: PrefixNodes
    columns: Int64[Tensor, "batch candidates levels"]
    """The node whose hidden state predicts each token of each candidate."""
    tokens: Int64[Tensor, "batch candidates levels"]
    """The candidates' paths; -1 past their ends."""

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        candidates: Int64[Tensor, "batch candidates"],
        context_lengths: Int64[Tensor, " batch"],
    ) -> CandidateTree:
        """The tree of candidate leaves over the catalog's prefixes, on the catalog's device."""
        batch = len(candidates)
        tokens = catalog.leaf_tokens[candidates].long()
        paths = catalog.leaf_nodes[candidates].long()
        root = tokens.new_full((batch, 1), START_TOKEN)
        levels = [(root, root - 1 - START_TOKEN)]
        columns = [torch.zeros_like(candidates)]
        first_of_depth = [0]
        num_nodes = 1
        for depth in range(1, catalog.num_levels):
            needed = tokens[..., depth] >= 0
            slots, width = _distinct(paths[..., depth - 1], needed)
            levels.append(
                (
                    _place(tokens[..., depth - 1], slots, width),
                    _place(columns[-1], slots, width),
                )
            )
            columns.append(torch.where(needed, slots + num_nodes, 0))
            first_of_depth.append(num_nodes)
            num_nodes += width
        node_tokens, parents = (torch.cat(parts, 1) for parts in zip(*levels, strict=True))
        depths = [torch.full_like(part, depth) for depth, (part, _) in enumerate(levels)]
        padding = node_tokens < 0
        nodes = PrefixNodes(
            node_tokens,
            parents,
            torch.cat(depths, 1).masked_fill(padding, -1),
            context_lengths[:, None].expand_as(parents).masked_fill(padding, -1),
            tuple(first_of_depth),
        )
        return cls(nodes, torch.stack(columns, -1), tokens)


@dataclass(frozen=True)
class TrainingBatch:
    """What one forward pass of training reads: tensors only, made on the CPU, moved whole."""

    history: History
    tree: CandidateTree
    counts: Bool[Tensor, "batch candidates levels"]
    log_weights: Float[Tensor, "batch candidates levels"] | None = None

    @classmethod
    def assemble(
        cls,
        backbone: Backbone,
        catalog: Catalog,
        histories: Int64[Tensor, "batch history"],
        candidates: Int64[Tensor, "batch candidates"],
        scaling: Scaling = "none",
    ) -> TrainingBatch:
        """Tokens, tree and competition of some targets.

        Args:
            backbone: Encodes the histories; not run.
            catalog: On the CPU.
            histories: Item indices, right-padded with -1.
            candidates: Leaves; column 0 the target's.
            scaling: How sampled negatives are weighted.
        """
        history = backbone.encode_histories(histories, catalog)
        tree = CandidateTree.of(catalog, candidates, history.lengths)
        return cls(history, tree, *competition(catalog, candidates, scaling))

    def to(self, device: torch.device) -> TrainingBatch:
        """The same batch on `device`."""
        return _moved(self, device)


class Scorer(nn.Module):
    """The backbone as training sees it: everything goes through this `forward`.

    That is what `accelerate` wraps and `torch.compile` compiles, so hooks of data-parallel
    training fire.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, batch: TrainingBatch, needs: Needs) -> CandidateScores:
        """Log-probabilities of every candidate's tokens, in nats, and what else `needs` asks."""
        backbone = cast("Backbone", self.backbone)
        hidden = backbone(batch.history, batch.tree.nodes)
        logits = backbone.logits(hidden).float()
        if needs.temperature != 1.0:
            logits = logits / needs.temperature
        tokens = batch.tree.tokens
        log_probs = token_log_probs(logits, batch.tree.columns, tokens.clamp(min=0))
        log_probs = log_probs.masked_fill(tokens < 0, 0.0)
        return CandidateScores(log_probs, batch.counts, batch.log_weights)


def token_log_probs(
    logits: Float[Tensor, "batch nodes vocab"],
    columns: Int64[Tensor, "batch candidates levels"],
    tokens: Int64[Tensor, "batch candidates levels"],
) -> Float[Tensor, "batch candidates levels"]:
    """Log-softmax of `logits` over the vocabulary, at (node, token) pairs only, in nats.

    The same value and gradient as `log_softmax` and `gather`; the backward pass writes the
    gradient of the logits once instead of three times.
    """
    batch, _, vocab = logits.shape
    places = (columns * vocab + tokens).reshape(batch, -1)
    return _GatheredLogSoftmax.apply(logits, places).view(columns.shape)


class _GatheredLogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, places: Tensor) -> Tensor:
        log_probs = F.log_softmax(logits, dim=-1)
        ctx.save_for_backward(log_probs, places)
        return log_probs.flatten(1).gather(1, places)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (gradient,) = grad_outputs
        log_probs, places = ctx.saved_tensors
        batch, nodes, vocab = log_probs.shape
        pull = gradient.new_zeros(batch, nodes).scatter_add_(1, places // vocab, gradient)
        result = log_probs.exp().mul_(pull.neg_()[..., None])
        result.view(batch, -1).scatter_add_(1, places, gradient)
        return result, None


def _distinct(
    nodes: Int64[Tensor, "batch candidates"], needed: Bool[Tensor, "batch candidates"]
) -> tuple[Int64[Tensor, "batch candidates"], int]:
    """Number each row's distinct needed nodes from 0, ascending; -1 where not needed.

    Returns:
        The number of every candidate's node, and the largest count of any row (at least 1).
    """
    unneeded = torch.iinfo(nodes.dtype).max
    ordered, order = torch.where(needed, nodes, unneeded).sort(dim=1)
    starts = F.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0), value=True)
    numbers = starts.cumsum(1) - 1
    numbers = torch.where(ordered == unneeded, -1, numbers)
    slots = torch.empty_like(numbers).scatter_(1, order, numbers)
    return slots, max(int(numbers.max()) + 1, 1)


def _place(
    values: Int64[Tensor, "batch candidates"], slots: Int64[Tensor, "batch candidates"], width: int
) -> Int64[Tensor, "batch width"]:
    """Each row's values at their slots, -1 where nothing lies."""
    table = values.new_full((len(values), width + 1), -1)
    return table.scatter_(1, torch.where(slots < 0, width, slots), values)[:, :width]


def _moved(record, device: torch.device):  # noqa: ANN001, ANN202
    """A dataclass of tensors and such dataclasses, on `device`."""
    changes = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            changes[field.name] = value.to(device, non_blocking=True)
        elif isinstance(value, History | CandidateTree | PrefixNodes):
            changes[field.name] = _moved(value, device)
    return replace(record, **changes)
