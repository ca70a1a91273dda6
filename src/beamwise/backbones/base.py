"""What decoding and training ask of a backbone: read a history once, extend it by prefixes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from beamwise.catalog import Catalog

START_TOKEN = 0
"""Token of a root node: the empty prefix. A decoder-only backbone never reads it."""


@dataclass(frozen=True)
class History:
    """What users did, as tokens of the backbone's vocabulary."""

    tokens: Int64[Tensor, "batch context"]
    """Right-padded; what stands past a row's length is never read."""
    lengths: Int64[Tensor, " batch"]
    """Tokens that count, >= 1: an empty history is the single end token. Whether other histories
    close with one too is the backbone's choice (`encode_histories`)."""


@dataclass(frozen=True)
class PrefixNodes:
    """A small prefix tree per row, to be computed on top of the row's context.

    A node sees the first `context_length` tokens of its context and its own ancestors, nothing
    else. A root (parent -1, depth 0, token `START_TOKEN`) is the empty prefix; a node of depth d is
    a prefix of d tokens, of which `tokens` holds the last. An encoder-decoder computes a root from
    its token. A decoder-only backbone has no start token: a root is the last context token that it
    sees, costs nothing, and a node of depth d >= 1 stands at position `context_length + d - 1`. A
    row may have several roots, each at a `context_length` of its own; nodes have the
    `context_length` of the root that they hang on. Padding nodes have -1 everywhere; their hidden
    states are finite and mean nothing.
    """

    tokens: Int64[Tensor, "batch nodes"]
    parents: Int64[Tensor, "batch nodes"]
    """Column of the parent among all nodes known so far, those of earlier calls first."""
    depth: Int64[Tensor, "batch nodes"]
    context_length: Int64[Tensor, "batch nodes"]
    """Context tokens that a node sees, 1 to the row's length."""
    first_of_depth: tuple[int, ...] | None = None
    """A promise that saves work: before column `first_of_depth[d]` every node is shallower than d,
    and no node is deeper than its length less one. None where nothing is known. The columns before
    `first_of_depth[1]`, or all where its length is one, are therefore roots: a decoder-only
    backbone looks them up and computes nothing for them."""

    def map(self, change: Callable[[Tensor], Tensor]) -> PrefixNodes:
        """The nodes that `change` makes of each tensor: some rows, columns, or padding."""
        return PrefixNodes(
            change(self.tokens),
            change(self.parents),
            change(self.depth),
            change(self.context_length),
        )

    def depth_bounds(self) -> tuple[int, ...]:
        """`first_of_depth`, or the bounds that hold for any order (one host sync on a GPU)."""
        if self.first_of_depth is not None:
            return self.first_of_depth
        return (0,) * (int(self.depth.max()) + 1)


@runtime_checkable
class Context(Protocol):
    """A batch of histories that a backbone has read; backbones hold in it what they need."""

    @property
    def lengths(self) -> Int64[Tensor, " batch"]:
        """Tokens of each context."""
        ...

    def select(self, rows: Int64[Tensor, " rows"]) -> Context:
        """The context of these rows, to drop finished users or to regroup them."""
        ...


@runtime_checkable
class Backbone(Protocol):
    """A model that scores prefixes of items given a history.

    `cache` is None before the first `extend` and otherwise what the last one returned; it is for
    decoding only, under `no_grad`. `forward` gives the hidden states of `read` and `extend`, in
    value and gradient, in one pass.
    """

    causal_context: ClassVar[bool]
    """Whether a token of the context is computed from what stands before it alone, so that a user's
    targets may stand in one context, each with the items before it as its history."""

    @property
    def vocab_size(self) -> int:
        """Tokens that `logits` scores."""
        ...

    def encode_histories(
        self, item_indices: Int64[Tensor, "batch history"], catalog: Catalog
    ) -> History:
        """Item indices, right-padded with -1, as tokens."""
        ...

    def read(self, history: History) -> Context:
        """Compute each history once."""
        ...

    def extend(
        self, context: Any, nodes: PrefixNodes, cache: Any = None
    ) -> tuple[Float[Tensor, "batch nodes dim"], Any]:
        """Hidden states of new nodes, and the cache with them appended."""
        ...

    def __call__(self, history: History, nodes: PrefixNodes) -> Float[Tensor, "batch nodes dim"]:
        """Hidden states of a whole tree for training."""
        ...

    def logits(
        self, hidden: Float[Tensor, "*nodes dim"], tokens: Int64[Tensor, " tokens"] | None = None
    ) -> Float[Tensor, "*nodes scored"]:
        """Scores of the next token: all of the vocabulary, or only `tokens`."""
        ...


def check_items(item_indices: Int64[Tensor, "batch history"], catalog: Catalog) -> None:
    """Refuse histories of another catalog.

    Raises:
        ValueError: If an index is not an item of the catalog.
    """
    if item_indices.numel() and int(item_indices.max()) >= catalog.num_items:
        raise ValueError(
            f"history has item index {int(item_indices.max())}, the catalog has items "
            f"0..{catalog.num_items - 1}: use the catalog that the histories were made with"
        )


def pack_histories(
    item_indices: Int64[Tensor, "batch history"],
    catalog: Catalog,
    last_token: int,
    *,
    closes_all: bool = True,
) -> History:
    """Items' tokens end to end, without their end tokens, and one `last_token` after them.

    Args:
        item_indices: Item indices in time order; -1 is padding wherever it stands.
        catalog: Gives each item's tokens.
        last_token: Closes every history; alone it is the empty one.
        closes_all: Where False, only the empty history has a `last_token`.

    Raises:
        ValueError: If an index is not an item of the catalog.
    """
    check_items(item_indices, catalog)
    batch = item_indices.shape[0]
    leaves = catalog.leaf_of_item[item_indices.clamp(min=0)].long()
    tokens = catalog.leaf_tokens[leaves].long()
    counts: Bool[Tensor, "batch history levels"] = (tokens >= 0) & (item_indices >= 0)[..., None]
    if catalog.end_token is not None:
        has_next = torch.nn.functional.pad(tokens[..., 1:] >= 0, (0, 1))
        counts = counts & has_next
    tokens, counts = tokens.reshape(batch, -1), counts.reshape(batch, -1)
    place = counts.cumsum(1) - 1
    num_tokens = counts.sum(1)
    lengths = num_tokens + 1 if closes_all else num_tokens.clamp(min=1)
    width = int(lengths.max())
    packed = tokens.new_zeros(batch, width + 1)
    packed.scatter_(1, (lengths - 1)[:, None], last_token)  # where no item's token overwrites it
    packed.scatter_(1, torch.where(counts, place, width), tokens)
    return History(packed[:, :width], lengths)


@contextmanager
def eval_mode(backbone: Backbone) -> Iterator[None]:
    """Evaluation mode inside; afterwards every submodule has the mode that it had."""
    modules = list(backbone.modules()) if isinstance(backbone, nn.Module) else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, training in zip(modules, modes, strict=True):
            module.training = training
