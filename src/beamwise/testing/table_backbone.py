"""A backbone without weights: its logits are a pseudo-random function of history and prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from beamwise.backbones.base import START_TOKEN, History, PrefixNodes, pack_histories
from beamwise.catalog import END_TOKEN, Catalog

Number = TypeVar("Number", int, Tensor)
MODULUS = 2**31 - 1
"""A prime; states are below it, so that their squares fit 64 bits and float64 holds them."""
LOGIT_RANGE, LOGIT_STEPS = 8.0, 2**20
TIE_STEP = -1000.0
"""Logits of tied backbones are its multiples. exp(-1000) is 0 in float64, so a normaliser only
counts the highest logits and has the same bits whichever way it is summed."""


@dataclass(frozen=True)
class TableContext:
    """States after every token of the histories."""

    states: Int64[Tensor, "batch context_and_one"]
    lengths: Int64[Tensor, " batch"]

    def select(self, rows: Int64[Tensor, " rows"]) -> TableContext:
        """The context of these rows."""
        return TableContext(self.states[rows], self.lengths[rows])


@dataclass(frozen=True)
class TableCache:
    """States of every node known."""

    states: Int64[Tensor, "batch known"]

    def select(self, rows: Int64[Tensor, " rows"]) -> TableCache:
        """The nodes of these rows."""
        return TableCache(self.states[rows])


class TableBackbone:
    """Satisfies the backbone protocol with hashes, one independent state for every prefix.

    A state mixes the token, depth and context length of a node into its parent's state, so that a
    search which passes any of them wrong gets other logits than `next_token_logits`, which
    computes those of one prefix with plain integers.
    """

    causal_context: ClassVar[bool] = False

    def __init__(
        self,
        vocab_size: int,
        seed: int = 0,
        num_values: int | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        """Choose the function.

        Args:
            vocab_size: Tokens to score.
            seed: Each gives another function.
            num_values: Distinct logits, where ties are wanted; 1 makes all prefixes of a depth tie.
            dtype: Of the logits.
        """
        self._vocab_size = vocab_size
        self._seed = seed
        self._num_values = num_values
        self._dtype = dtype

    @property
    def vocab_size(self) -> int:
        """Tokens that `logits` scores."""
        return self._vocab_size

    def next_token_logits(self, history: Sequence[int], prefix: Sequence[int]) -> list[float]:
        """Logits after one prefix of one history, both as tokens, without torch."""
        state = self._seed % MODULUS
        for token in history:
            state = _mixed(state, token)
        for depth, token in enumerate((START_TOKEN, *prefix)):
            state = _mixed(_mixed(_mixed(state, token), depth), len(history))
        drawn = [_mixed(state, token) for token in range(self._vocab_size)]
        if self._num_values is not None:
            return [TIE_STEP * (number % self._num_values) for number in drawn]
        return [(number % LOGIT_STEPS) * (LOGIT_RANGE / LOGIT_STEPS) for number in drawn]

    def encode_histories(
        self, item_indices: Int64[Tensor, "batch history"], catalog: Catalog
    ) -> History:
        """The items' tokens and an end token."""
        return pack_histories(item_indices, catalog, END_TOKEN)

    def read(self, history: History) -> TableContext:
        """Mix the tokens one after the other."""
        states = [torch.full_like(history.lengths, self._seed % MODULUS)]
        for tokens in history.tokens.unbind(1):
            states.append(_mixed(states[-1], tokens))
        return TableContext(torch.stack(states, 1), history.lengths)

    def extend(
        self, context: TableContext, nodes: PrefixNodes, cache: TableCache | None = None
    ) -> tuple[Float[Tensor, "batch nodes 1"], TableCache]:
        """The states of the nodes as hidden vectors of size one, a depth at a time."""
        _check_promises(nodes)
        num_new = nodes.tokens.shape[1]
        known = context.states[:, :0] if cache is None else cache.states
        known = torch.cat([known, torch.zeros_like(nodes.tokens)], 1)
        roots = context.states.gather(1, nodes.context_length.clamp(min=0))
        for depth in range(int(nodes.depth.max()) + 1):
            above = known.gather(1, nodes.parents.clamp(min=0))
            above = torch.where(nodes.parents < 0, roots, above)
            states = _mixed(_mixed(_mixed(above, nodes.tokens), depth), nodes.context_length)
            new = torch.where(nodes.depth == depth, states, known[:, -num_new:])
            known = torch.cat([known[:, :-num_new], new], 1)
        return known[:, -num_new:, None].double(), TableCache(known)

    def __call__(self, history: History, nodes: PrefixNodes) -> Float[Tensor, "batch nodes 1"]:
        """`read` and `extend` at once."""
        return self.extend(self.read(history), nodes)[0]

    def logits(
        self, hidden: Float[Tensor, "*nodes 1"], tokens: Int64[Tensor, " tokens"] | None = None
    ) -> Float[Tensor, "*nodes scored"]:
        """Scores of the next token: all of the vocabulary, or only `tokens`."""
        if tokens is None:
            tokens = torch.arange(self._vocab_size, device=hidden.device)
        drawn = _mixed(hidden.long(), tokens)
        if self._num_values is not None:
            return (TIE_STEP * (drawn % self._num_values)).to(self._dtype)
        return ((drawn % LOGIT_STEPS) * (LOGIT_RANGE / LOGIT_STEPS)).to(self._dtype)


def _mixed(state: Number, value: Number | int) -> Number:
    """A state that depends on both arguments; squaring keeps it from being linear in them."""
    mixed = (state * 48271 + value * 69621 + 1) % MODULUS
    return (mixed * mixed % MODULUS + mixed * 40503) % MODULUS


def _check_promises(nodes: PrefixNodes) -> None:
    """Hold the caller to what `PrefixNodes` says about padding and order."""
    padding = nodes.depth < 0
    assert (padding == (nodes.tokens < 0)).all(), "padding has -1 in tokens and depth alike"
    assert (padding == (nodes.context_length < 0)).all(), "padding has context_length -1"
    assert ((nodes.parents < 0) == (nodes.depth <= 0)).all(), "only roots have no parent"
    bounds = nodes.depth_bounds()
    assert int(nodes.depth.max()) < len(bounds), "a node is deeper than first_of_depth says"
    for depth, first in enumerate(bounds):
        assert (nodes.depth[:, :first] < depth).all(), f"depth {depth} begins before {first}"
