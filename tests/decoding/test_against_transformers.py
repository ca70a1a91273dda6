"""Beam search equals `generate` of transformers with a trie callback, on the same T5 weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from beamwise.backbones import Tiger
from beamwise.catalog import Catalog
from beamwise.decoding import beam_search

NUM_LEVELS, CODEBOOK_SIZE, BEAM_WIDTH = 4, 16, 10


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, CODEBOOK_SIZE, (600, NUM_LEVELS), generator=generator)
    return Catalog.from_codes(codes, CODEBOOK_SIZE)


@pytest.fixture(scope="module")
def t5(catalog: Catalog) -> T5ForConditionalGeneration:
    torch.manual_seed(1)
    config = T5Config(
        vocab_size=catalog.vocab_size,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        initializer_factor=1.5,
    )
    config.decoder_start_token_id = 0
    return T5ForConditionalGeneration(config).double().eval()


def generate(
    model: T5ForConditionalGeneration, catalog: Catalog, tokens: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Token sequences and summed log-probabilities of the usual constrained beam search."""
    trie: dict[tuple[int, ...], set[int]] = {}
    for path in catalog.leaf_tokens.tolist():
        for depth, token in enumerate(path):
            trie.setdefault(tuple(path[:depth]), set()).add(token)

    output: Any = model.generate(  # pyright: ignore[reportAttributeAccessIssue]
        input_ids=tokens,
        attention_mask=mask,
        num_beams=BEAM_WIDTH,
        num_return_sequences=BEAM_WIDTH,
        max_new_tokens=NUM_LEVELS,
        length_penalty=0.0,
        prefix_allowed_tokens_fn=lambda _, prefix: sorted(trie[tuple(prefix[1:].tolist())]),
        output_scores=True,
        return_dict_in_generate=True,
    )
    paths = output.sequences[:, 1:].view(len(tokens), BEAM_WIDTH, NUM_LEVELS)
    return paths, output.sequences_scores.view(len(tokens), BEAM_WIDTH)


def test_same_sequences_and_scores(catalog, t5):
    histories = torch.tensor([[5, 17, 300], [8, -1, -1], [-1, -1, -1], [599, 0, -1], [42, 42, 42]])
    backbone = Tiger.from_huggingface(t5).double().eval()
    encoded = backbone.encode_histories(histories, catalog)
    mask = torch.arange(encoded.tokens.shape[1]) < encoded.lengths[:, None]
    paths, scores = generate(t5, catalog, encoded.tokens, mask.long())
    result = beam_search(backbone, histories, catalog, BEAM_WIDTH)
    assert torch.equal(catalog.leaf_tokens[result.leaves].long(), paths)
    torch.testing.assert_close(result.leaf_log_probs.float(), scores)  # generate sums in fp32
