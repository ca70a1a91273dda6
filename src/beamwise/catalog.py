"""The catalog: items, their token sequences, and the prefix tree over them in flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Int, Int32, Int64
from torch import Tensor

from beamwise._prefix_tree import PathShape, build_tree, checked_paths, path_shape, run_stops
from beamwise._saved_catalog import SavedCatalog, read_saved, write_saved

END_TOKEN = 1
NUM_SPECIAL_TOKENS = 2
"""Token 0 starts a decoder and pads, token 1 ends; codes are offset past both."""


class Ragged(NamedTuple):
    """Values of owners end to end: owner `i` has `values[offsets[i]:offsets[i + 1]]`."""

    values: Int64[Tensor, " total"]
    offsets: Int64[Tensor, " owners_and_one"]


class Children(NamedTuple):
    """The edges below some nodes, in the order of the nodes asked for, then of their tokens."""

    owner: Int64[Tensor, " edges"]
    """Position, among the nodes asked for, of the edge's upper end."""
    tokens: Int64[Tensor, " edges"]
    nodes: Int64[Tensor, " edges"]


@dataclass(frozen=True, eq=False)
class Catalog:
    """Items and the prefix tree of their token sequences; immutable, on one device.

    Nodes are numbered breadth first, and by token within a level, so node 0 is the root (the empty
    prefix) and edge `e` leads to node `e + 1`. A leaf is a distinct full token sequence; leaves are
    numbered in lexicographic order of their sequences, so those below any node are one range.
    Several items may share a leaf.
    """

    item_ids: pl.Series
    """The data set's ids, by item index."""
    vocab_size: int
    """Tokens that a backbone over this catalog needs."""
    end_token: int | None
    """The token that closes every path, or None where all paths have one length and no end."""
    level_start: tuple[int, ...]
    """First node of every depth, from the root's 0 up, and at the end the number of nodes."""
    child_start: Int32[Tensor, " nodes_and_one"]
    child_token: Int32[Tensor, " edges"]
    leaf_start: Int32[Tensor, " nodes"]
    """First leaf below each node."""
    leaf_stop: Int32[Tensor, " nodes"]
    """One past the last leaf below each node."""
    leaf_tokens: Int32[Tensor, "leaves levels"]
    """Each leaf's path, end token included, padded with -1."""
    leaf_nodes: Int32[Tensor, "leaves levels"]
    """The node at every depth >= 1 of each leaf's path, padded with -1."""
    leaf_of_item: Int32[Tensor, " items"]
    leaf_item_start: Int32[Tensor, " leaves_and_one"]
    leaf_items: Int32[Tensor, " items"]
    """Item indices grouped by leaf, ascending within a leaf."""
    retired: Bool[Tensor, " items"] | None = None
    """Items that may stand in histories but are no longer recommended; None where there are none.
    Their paths stay legal, so the probabilities of all others stay as they were."""
    unseen: Bool[Tensor, " edges"] | None = None
    """Edges that a model has not seen in training, as those to items that came later; None where it
    has seen all. Searches take the probability of such a step from the tree, not from the model: a
    uniform choice among the items below its upper end, where the other steps share what is left.
    Not saved: it is between catalog and model."""

    @classmethod
    def from_tokens(
        cls,
        tokens: Int[Tensor, "items levels"] | np.ndarray | Sequence[Sequence[int]],
        lengths: Int[Tensor, " items"] | np.ndarray | Sequence[int] | None = None,
        item_ids: Sequence[str] | pl.Series | None = None,
        end_token: int = END_TOKEN,
        vocab_size: int | None = None,
    ) -> Catalog:
        """Build the tree over items' token sequences.

        Args:
            tokens: Token ids of the backbone's vocabulary, one row an item, >= 0.
            lengths: Tokens of each item that count; the rest of its row is padding, whatever its
                value. Where given, `end_token` is appended to every path and counts in
                log-probabilities, so that every item ends in a leaf.
            item_ids: Unique names; the item indices as text where not given.
            end_token: Token that closes a path; used only with `lengths`.
            vocab_size: Size of the vocabulary; one past the highest token where not given.

        Raises:
            ValueError: If the shapes disagree, an id repeats, a token is negative, a length is out
                of range, or one item's path is the beginning of another's.
        """
        paths, has_end = checked_paths(tokens, lengths, end_token)
        ids = _checked_ids(item_ids, len(paths))
        highest = int(paths.max())
        if vocab_size is not None and vocab_size <= highest:
            raise ValueError(
                f"vocab_size must be >= {highest + 1} to hold token {highest}, got {vocab_size}"
            )
        return cls(
            ids, vocab_size or highest + 1, end_token if has_end else None, **build_tree(paths)
        )

    @classmethod
    def from_codes(
        cls,
        codes: Int[Tensor, "items levels"] | np.ndarray,
        codebook_size: int,
        item_ids: Sequence[str] | pl.Series | None = None,
        end_token: bool = False,
    ) -> Catalog:
        """Build the catalog of semantic IDs: token = 2 + level * codebook_size + code.

        Args:
            codes: One row an item, each in 0..codebook_size-1.
            codebook_size: Codes a level.
            item_ids: As in `from_tokens`.
            end_token: Whether every path also ends with the end token, as released code has it.

        Raises:
            ValueError: If a code is outside its codebook.
        """
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.size == 0:
            raise ValueError(f"codes must be (items, levels) with items >= 1, got {codes.shape}")
        if codes.min() < 0 or codes.max() >= codebook_size:
            bad = int(codes.max() if codes.max() >= codebook_size else codes.min())
            raise ValueError(
                f"code {bad} is outside 0..{codebook_size - 1}: raise codebook_size or fix codes"
            )
        num_levels = codes.shape[1]
        tokens = NUM_SPECIAL_TOKENS + codebook_size * np.arange(num_levels) + codes
        lengths = np.full(len(codes), num_levels) if end_token else None
        vocab_size = NUM_SPECIAL_TOKENS + num_levels * codebook_size
        return cls.from_tokens(tokens, lengths, item_ids, END_TOKEN, vocab_size)

    # Sizes

    @property
    def num_items(self) -> int:
        """Items, those that share a leaf counted each."""
        return self.leaf_of_item.shape[0]

    @property
    def num_leaves(self) -> int:
        """Distinct token sequences."""
        return self.leaf_tokens.shape[0]

    @property
    def num_levels(self) -> int:
        """Tokens of the longest path, end token included."""
        return self.leaf_tokens.shape[1]

    @property
    def num_nodes(self) -> int:
        """Distinct prefixes, the empty one and the full sequences included."""
        return self.level_start[-1]

    @property
    def device(self) -> torch.device:
        """Where the arrays lie."""
        return self.child_token.device

    @property
    def child_node(self) -> Int64[Tensor, " edges"]:
        """The lower end of every edge; breadth-first numbering makes it `edge + 1`."""
        return torch.arange(1, self.num_nodes, device=self.device)

    @cached_property
    def version(self) -> str:
        """Content hash: equal for catalogs with the same items, paths and vocabulary."""
        return self._content.version

    # Bulk queries: tensors in, tensors out, on the catalog's device

    def children(self, nodes: Int64[Tensor, " nodes_asked"]) -> Children:
        """The edges below `nodes`, one product for all of them."""
        start = self.child_start[nodes].long()
        counts = self.child_start[nodes + 1].long() - start
        owner, edges = _expand(start, counts)
        return Children(owner, self.child_token[edges].long(), edges + 1)

    def legal_tokens(self, nodes: Int64[Tensor, " nodes_asked"]) -> Ragged:
        """The tokens that extend each node towards an item."""
        start = self.child_start[nodes].long()
        counts = self.child_start[nodes + 1].long() - start
        _, edges = _expand(start, counts)
        return Ragged(self.child_token[edges].long(), _offsets(counts))

    def find(self, prefixes: Int64[Tensor, "prefixes depth"]) -> Int64[Tensor, " prefixes"]:
        """The node of each prefix, -1 where no item begins so; trailing -1 tokens end a prefix."""
        nodes = torch.zeros(len(prefixes), dtype=torch.int64, device=self.device)
        for tokens in prefixes.unbind(1):
            key = nodes.clamp(min=0) * self.vocab_size + tokens
            edge = torch.searchsorted(self._edge_keys, key).clamp(max=len(self._edge_keys) - 1)
            found = (self._edge_keys[edge] == key) & (nodes >= 0) & (tokens < self.vocab_size)
            stepped = torch.where(found, edge + 1, -1)
            nodes = torch.where(tokens < 0, nodes, stepped)
        return nodes

    def items_of(self, leaves: Int64[Tensor, " leaves_asked"]) -> Ragged:
        """The items that share each leaf, by item index."""
        start = self.leaf_item_start[leaves].long()
        counts = self.leaf_item_start[leaves + 1].long() - start
        _, places = _expand(start, counts)
        return Ragged(self.leaf_items[places].long(), _offsets(counts))

    def num_items_below(
        self, nodes: Int64[Tensor, " nodes_asked"]
    ) -> Int64[Tensor, " nodes_asked"]:
        """Items whose path goes through each node."""
        first = self.leaf_item_start[self.leaf_start[nodes].long()]
        last = self.leaf_item_start[self.leaf_stop[nodes].long()]
        return (last - first).long()

    def is_leaf(self, nodes: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Whether a path ends at each node."""
        return self.child_start[nodes] == self.child_start[nodes + 1]

    def num_children(self, nodes: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
        """Tokens that extend each node towards an item; 0 at a leaf."""
        return (self.child_start[nodes + 1] - self.child_start[nodes]).long()

    def depth_of(self, nodes: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
        """Tokens of each node's prefix."""
        return torch.bucketize(nodes, self._level_starts, right=True)

    @cached_property
    def run_stop(self) -> Int32[Tensor, " nodes"]:
        """The first node at or below each that branches or is a leaf: the end of a forced run."""
        return run_stops(self.child_start, self.level_start)

    @cached_property
    def path_shape(self) -> PathShape:
        """How long the leaves' paths are, and how often they branch."""
        return path_shape(self.child_start, self.leaf_nodes)

    def indices_of(self, item_ids: Sequence[str] | pl.Series) -> Int64[Tensor, " items_asked"]:
        """Item indices of data set ids.

        Raises:
            ValueError: If an id is not in the catalog; the first few are named.
        """
        asked = pl.Series("item_id", item_ids, dtype=pl.String)
        order, ordered = self._ids_in_order
        place = ordered.search_sorted(asked).to_numpy().clip(max=self.num_items - 1)
        known = (ordered.gather(place) == asked).to_numpy()
        if not known.all():
            unknown = asked.filter(pl.Series(~known)).unique(maintain_order=True)
            shown = ", ".join(repr(name) for name in unknown.head(5))
            raise ValueError(
                f"{len(unknown)} item id(s) not in the catalog: {shown}; "
                "use ids of the data set that the catalog was made from"
            )
        return torch.from_numpy(order[place].astype(np.int64)).to(self.device)

    # Changing, moving and keeping

    def with_retired(self, item_ids: Sequence[str] | pl.Series) -> Catalog:
        """The catalog in which these items, and those retired before, are no longer recommended.

        Raises:
            ValueError: If an id is not in the catalog, or no item would be left to recommend.
        """
        retired = torch.zeros(self.num_items, dtype=torch.bool, device=self.device)
        retired[self.indices_of(item_ids)] = True
        if self.retired is not None:
            retired |= self.retired
        if bool(retired.all()):
            raise ValueError(
                f"all {self.num_items} items would be retired: leave at least one to recommend"
            )
        return replace(self, retired=retired if bool(retired.any()) else None)

    def with_restored(self, item_ids: Sequence[str] | pl.Series) -> Catalog:
        """The catalog in which these retired items are recommended again.

        Raises:
            ValueError: If an id is not in the catalog, or not retired.
        """
        asked = self.indices_of(item_ids)
        none = torch.zeros(self.num_items, dtype=torch.bool, device=self.device)
        retired = none if self.retired is None else self.retired.clone()
        if not bool(retired[asked].all()):
            row = int(asked[~retired[asked]][0])
            raise ValueError(f"item {self.item_ids[row]!r} is not retired: leave it out")
        retired[asked] = False
        return replace(self, retired=retired if bool(retired.any()) else None)

    @property
    def retired_ids(self) -> pl.Series:
        """Ids of the retired items, by item index."""
        if self.retired is None:
            return self.item_ids.clear()
        return self.item_ids.filter(pl.Series(self.retired.cpu().numpy()))

    def seen_from(self, trained: Catalog) -> Catalog:
        """The catalog as a model that was trained with another one sees it; sets `unseen`."""
        unseen = torch.zeros(self.num_nodes - 1, dtype=torch.bool, device=self.device)
        tokens = self.leaf_tokens.long()
        for level, nodes in enumerate(self.leaf_nodes.long().unbind(1)):
            is_new = (trained.find(tokens[:, : level + 1]) < 0) & (nodes >= 0)
            unseen[nodes[is_new] - 1] = True
        return replace(self, unseen=unseen if bool(unseen.any()) else None)

    def to(self, device: torch.device | str) -> Catalog:
        """The same catalog with its arrays on `device`."""
        moved = {
            field.name: value.to(device)
            for field in fields(self)
            if isinstance(value := self.__dict__[field.name], Tensor)
        }
        return replace(self, **moved)

    def save(self, folder: Path) -> None:
        """Write `tokens.parquet` (a row an item) and `catalog.json` into `folder`."""
        write_saved(self._content, folder)

    @classmethod
    def load(cls, folder: Path) -> Catalog:
        """Read a saved catalog, rebuild its tree and check it against its recorded version.

        Raises:
            ValueError: If a file is missing or unreadable, or the content is not what was saved.
        """
        saved = read_saved(folder)
        tree = build_tree(saved.paths)
        retired = None if saved.retired is None else torch.from_numpy(saved.retired)
        return cls(saved.item_ids, saved.vocab_size, saved.end_token, **tree, retired=retired)

    @property
    def _content(self) -> SavedCatalog:
        retired = None if self.retired is None else self.retired.cpu().numpy()
        paths = self.leaf_tokens[self.leaf_of_item.long()].cpu().numpy()
        return SavedCatalog(self.item_ids, paths, self.vocab_size, self.end_token, retired)

    @cached_property
    def _level_starts(self) -> Int64[Tensor, " levels"]:
        return torch.tensor(self.level_start[1:-1], device=self.device)

    @cached_property
    def _edge_keys(self) -> Int64[Tensor, " edges"]:
        """Upper node and token of every edge as one ascending number."""
        counts = self.child_start[1:] - self.child_start[:-1]
        upper = torch.repeat_interleave(counts.long())
        return upper * self.vocab_size + self.child_token.long()

    @cached_property
    def _ids_in_order(self) -> tuple[np.ndarray, pl.Series]:
        order = self.item_ids.arg_sort().to_numpy()
        return order, self.item_ids.gather(order)


def _checked_ids(item_ids: Sequence[str] | pl.Series | None, num_items: int) -> pl.Series:
    if item_ids is None:
        return pl.Series("item_id", np.arange(num_items)).cast(pl.String)
    ids = pl.Series("item_id", item_ids, dtype=pl.String)
    if len(ids) != num_items:
        raise ValueError(f"{len(ids)} item_ids for {num_items} items: give one id an item")
    if ids.null_count() or ids.n_unique() != num_items:
        repeated = ids.filter(ids.is_duplicated()).head(1)
        named = repr(repeated.item()) if len(repeated) else "null"
        raise ValueError(f"item id {named} stands more than once or is null: ids must be unique")
    return ids


def _expand(
    start: Int64[Tensor, " owners"], counts: Int64[Tensor, " owners"]
) -> tuple[Int64[Tensor, " total"], Int64[Tensor, " total"]]:
    """For ranges `start[i] .. start[i] + counts[i]`: the owner and the value of every element."""
    owner = torch.repeat_interleave(counts)
    shift = start - (counts.cumsum(0) - counts)
    return owner, torch.arange(len(owner), device=start.device) + shift[owner]


def _offsets(counts: Int64[Tensor, " owners"]) -> Int64[Tensor, " owners_and_one"]:
    return torch.nn.functional.pad(counts.cumsum(0), (1, 0))
