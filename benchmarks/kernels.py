"""Inner parts of training in the ways they can be written: forward and backward, on one core.

Each group is one piece of work at the sizes that training has, in alternating rounds; the first of
a group is what the package uses, and a ratio says how many times as long another way takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

import torch
import torch.nn.functional as F
from harness import compare_times, emit_environment, parser, take_turns, use_threads
from torch import Tensor
from workload import SEED

from beamwise.backbones.dropout import dropped
from beamwise.backbones.products import fast_cpu_products
from beamwise.backbones.tiger import attend
from beamwise.scoring.log_probs import token_log_probs

TIMES_A_ROUND = 5
DROPOUT = 0.1
VOCAB = 1023
"""Tokens of Office with 4 levels of 256 codes, less those that no item has."""
Way = Callable[[], Tensor]
"""Computes something from leaves that require gradients; the sum is what is differentiated."""


def attention(bias_learns: bool) -> Mapping[str, Way]:
    """TIGER's encoder: 32 histories of 81 tokens, 6 heads of 64, a bias by relative position."""
    generator = torch.Generator().manual_seed(SEED)
    shape, context = (32, 6, 81, 64), 81
    queries, keys, values = (
        torch.randn(shape, generator=generator, requires_grad=True) for _ in range(3)
    )
    bias = torch.randn(1, 6, context, context, generator=generator)
    bias.requires_grad_(bias_learns)

    def fused() -> Tensor:
        mask = bias.expand(len(queries), -1, -1, -1)
        attended = F.scaled_dot_product_attention(queries, keys, values, mask, scale=1.0)
        return attended.transpose(1, 2).flatten(2)

    ways: dict[str, Way] = {
        "plain": lambda: attend(queries, keys, values, bias, 0.0),
        "scaled_dot_product_attention": fused,
    }
    return ways


def picked_log_probs(nodes: int, picks: int) -> Mapping[str, Way]:
    """Log-probabilities of some tokens, of nodes with a whole vocabulary of logits each."""
    generator = torch.Generator().manual_seed(SEED)
    logits = torch.randn(nodes, VOCAB, generator=generator, requires_grad=True)
    places = torch.arange(picks) * nodes // picks
    tokens = torch.randint(VOCAB, (picks,), generator=generator)

    def normalizer_and_pick() -> Tensor:
        return logits[places, tokens] - logits.logsumexp(1)[places]

    ways: dict[str, Way] = {
        "token_log_probs": lambda: token_log_probs(logits, places, tokens),
        "log_softmax, index": lambda: logits.log_softmax(1)[places, tokens],
        "logsumexp, index": normalizer_and_pick,
    }
    if nodes == picks:
        ways["cross_entropy"] = lambda: -F.cross_entropy(logits, tokens, reduction="none")
    return ways


def hidden_units() -> Mapping[str, Way]:
    """Hidden units of a chunk: 3,072 tokens of 1,024."""
    generator = torch.Generator().manual_seed(SEED)
    hidden = torch.randn(3072, 1024, generator=generator, requires_grad=True)
    return {
        "dropped": lambda: dropped(hidden, DROPOUT),
        "F.dropout": lambda: F.dropout(hidden, DROPOUT),
        "none": lambda: hidden * 1.0,
    }


GROUPS: dict[str, Callable[[], Mapping[str, Way]]] = {
    "attention with a bias that learns": partial(attention, bias_learns=True),
    "attention with a bias that is constant": partial(attention, bias_learns=False),
    "log-probabilities, a token a node, as in ce": partial(picked_log_probs, 512, 512),
    "log-probabilities, several a node, as in apao-pairwise": partial(
        picked_log_probs, 8 * 283, 8 * 404
    ),
    "dropout": hidden_units,
}


def timed(way: Way) -> Callable[[int], int]:
    """A round: forward and backward some times."""

    def run(_: int) -> int:
        for _ in range(TIMES_A_ROUND):
            way().sum().backward()
        return TIMES_A_ROUND

    return run


def main(arguments: Sequence[str] | None = None) -> None:
    """Time the groups."""
    described: argparse.ArgumentParser = parser("Time inner parts of training, written in ways.")
    given = described.parse_args(arguments)
    use_threads(given.threads)
    emit_environment()
    products: AbstractContextManager[None] = fast_cpu_products()
    with products:
        for group, make in GROUPS.items():
            torch.manual_seed(SEED)
            ways = make()
            contenders = {name: timed(way) for name, way in ways.items()}
            rates = take_turns(group, contenders, given.repeats, "times/s")
            used, *others = ways
            for other in others:
                name = f"{group}: {other}, over {used}"
                compare_times(name, rates[other], rates[used], limit=None)


if __name__ == "__main__":
    main()
