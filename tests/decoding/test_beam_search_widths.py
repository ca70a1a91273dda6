"""Widths by level, and how many users are searched at once."""

from __future__ import annotations

import sys

import pytest
import torch

from beamwise.catalog import Catalog
from beamwise.decoding import beam_search
from beamwise.testing.table_backbone import TableBackbone


def test_a_narrow_level_lets_fewer_come_back():
    # Nine items under three codes: one prefix kept leads to three items, however wide what follows.
    codes = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    catalog = Catalog.from_codes(codes, codebook_size=3)
    histories = torch.full((1, 1), -1)
    backbone = TableBackbone(catalog.vocab_size)
    assert (beam_search(backbone, histories, catalog, [1, 9], 9).items >= 0).sum() == 3
    assert (beam_search(backbone, histories, catalog, [9, 9], 9).items >= 0).sum() == 9


@pytest.mark.parametrize(
    ("history", "beam_width", "users"),
    [(1, 20, 32), (1, 100, 6), (1, 5000, 1), (512, 20, 3), (9999, 20, 1), (0, 20, 32)],
)
def test_users_at_once_follow_prefixes_and_tokens(monkeypatch, history, beam_width, users):
    # 640 prefixes / width, 3072 tokens / (2 levels x items), at most 32 and at least 1.
    module = sys.modules[beam_search.__module__]
    asked = []
    whole = module.search
    monkeypatch.setattr(
        module, "search", lambda *args: asked.append(args[2]) or whole(*args[:2], 40)
    )
    catalog = Catalog.from_tokens([[2, 4], [2, 5], [3, 4], [3, 5]])
    backbone = TableBackbone(catalog.vocab_size)
    beam_search(backbone, torch.full((40, history), -1), catalog, beam_width)
    assert asked == [users]
