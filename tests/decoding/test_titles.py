"""Titles that end at several depths: beam search on both backbones equals scoring one by one."""

from __future__ import annotations

import pytest
import torch

from beamwise.backbones import Llama, LlamaConfig, Tiger
from beamwise.backbones.base import START_TOKEN, PrefixNodes
from beamwise.catalog import Catalog
from beamwise.decoding import beam_search
from beamwise.testing.brute_force import BruteForce
from beamwise.testing.run_choice import along_runs, step_by_step
from beamwise.testing.tiny_run import TINY_TIGER

LENGTHS = [1, 4, 2, 3, 3, 1, 4, 2, 2, 4]
TITLES = [
    [2, 0, 0, 0], [2, 3, 2, 4], [2, 3, 0, 0], [2, 3, 2, 0], [3, 2, 2, 0],
    [4, 0, 0, 0], [4, 4, 4, 4], [3, 3, 0, 0], [4, 4, 0, 0], [3, 2, 2, 3],
]  # fmt: skip
CATALOG = Catalog.from_tokens(TITLES, lengths=LENGTHS)
PATHS = [(*title[:length], 1) for title, length in zip(TITLES, LENGTHS, strict=True)]
HISTORIES = torch.tensor([[1, 5, 3], [0, -1, -1], [-1, -1, -1]])


def backbone_of(name: str) -> Tiger | Llama:
    torch.manual_seed(0)
    llama = LlamaConfig(dim=16, num_layers=2, num_heads=2, head_dim=8, feedforward_dim=16)
    built = Llama(llama, CATALOG.vocab_size) if name == "llama" else None
    built = built or Tiger(TINY_TIGER, CATALOG.vocab_size)
    with torch.no_grad():
        built.embedding.weight.mul_(3 if name == "tiger" else 60)  # so that items differ
    return built.double().eval()


@torch.no_grad()
def logits_after(backbone: Tiger | Llama, user: int, prefix: tuple[int, ...]) -> list[float]:
    """Next-token logits by a whole pass over one path, without a cache and without padding."""
    encoded = backbone.encode_histories(HISTORIES[user : user + 1], CATALOG)
    depth = torch.arange(len(prefix) + 1)[None]
    tokens = torch.tensor([[START_TOKEN, *prefix]])
    nodes = PrefixNodes(tokens, depth - 1, depth, encoded.lengths[:, None].expand_as(depth))
    return backbone.logits(backbone(encoded, nodes))[0, -1].tolist()


@pytest.mark.parametrize("name", ["tiger", "llama"])
@pytest.mark.parametrize("mask", ["after", "before"])
@pytest.mark.parametrize("widths", [[10] * 5, [2] * 5, [3, 1, 2, 1, 1]])
@pytest.mark.parametrize("way", [along_runs, step_by_step])
def test_equals_scoring_one_by_one(name, mask, widths, way):
    backbone = backbone_of(name)
    eligible = torch.arange(10) != 2
    with way():
        result = beam_search(backbone, HISTORIES, CATALOG, widths, 6, mask, eligible)
    for user in range(len(HISTORIES)):
        naive = BruteForce(
            PATHS,
            lambda prefix, user=user: logits_after(backbone, user, prefix),
            mask,
            eligible.tolist(),
        )
        expected = naive.beam_search(widths, 6)
        count = len(expected.items)
        assert result.items[user, :count].tolist() == expected.items
        assert (result.items[user, count:] == -1).all()
        scores = torch.tensor(expected.log_probs, dtype=torch.float64)
        # rotary and position biases are formed in fp32, whatever the weights are
        torch.testing.assert_close(
            result.log_probs[user, :count].double(), scores, atol=1e-5, rtol=1e-5
        )
        assert bool(result.exact[user]) == expected.exact
