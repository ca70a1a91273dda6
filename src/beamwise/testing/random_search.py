"""Random searches, drawn from a seed: what every decoder is held to brute force on."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwise.catalog import Catalog
from beamwise.decoding import SearchResult
from beamwise.decoding.eligibility import ListedItems
from beamwise.testing.brute_force import BruteForce, Path, Ranking
from beamwise.testing.table_backbone import TableBackbone
from beamwise.testing.tiny_catalogs import random_title_tokens


@dataclass(frozen=True)
class RandomSearch:
    """A model, a catalog, and what is asked of them."""

    backbone: TableBackbone
    histories: Tensor
    catalog: Catalog
    top_k: int
    mask: str
    eligible: Tensor | ListedItems | None
    """As searches take it: retired items may be among the eligible ones."""
    allowed: Tensor | None
    """The same as a mask."""
    paths: list[Path]
    """Of every item."""

    def brute_force(self, user: int) -> BruteForce:
        """One user's, in plain Python; not for a catalog with items that the model never saw."""
        allowed = torch.ones(len(self.paths), dtype=torch.bool)
        if self.allowed is not None:
            allowed = self.allowed if self.allowed.ndim == 1 else self.allowed[user]
        if self.catalog.retired is not None:
            allowed = allowed & ~self.catalog.retired
        read = self.backbone.encode_histories(self.histories[user : user + 1], self.catalog)
        tokens = read.tokens[0, : int(read.lengths[0])].tolist()
        return BruteForce(
            self.paths,
            lambda prefix: self.backbone.next_token_logits(tokens, prefix),
            self.mask,
            allowed.tolist(),
        )


def random_search(
    seed: int, most_items: int = 24, *, unseen: bool = False, titles: bool = False
) -> RandomSearch:
    """Draw one of every kind: ties, shared leaves, lengths, both masks, eligibility, lists.

    Args:
        seed: Of everything.
        most_items: Items of the largest catalogs.
        unseen: Whether some catalogs have items that the model never saw.
        titles: Whether catalogs have long runs of forced tokens, as titles do.
    """
    choice = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    num_codes, num_levels = choice.randint(1, 6), choice.randint(1, 5)
    num_items, num_users = choice.randint(1, most_items), choice.randint(1, 4)
    tokens = 2 + torch.randint(num_codes, (num_items, num_levels), generator=generator)
    paths: list[Path] = [tuple(row) for row in tokens.tolist()]
    lengths = None
    if titles:
        tokens, lengths = random_title_tokens(seed, num_items, choice.randint(1, 8))
        num_codes = 6
    elif choice.random() < 0.5:
        lengths = torch.randint(1, num_levels + 1, (num_items,), generator=generator)
    if lengths is not None:
        pairs = zip(tokens.tolist(), lengths.tolist(), strict=True)
        paths = [(*path[:length], 1) for path, length in pairs]
    vocab_size = 2 + num_codes
    catalog = Catalog.from_tokens(tokens, lengths, vocab_size=vocab_size)
    if unseen and num_items > 1:
        known = choice.randint(1, num_items - 1)
        some = None if lengths is None else lengths[:known]
        catalog = catalog.seen_from(Catalog.from_tokens(tokens[:known], some, None, 1, vocab_size))
    if num_items > 1 and choice.random() < 0.3:
        gone = choice.sample(range(num_items), choice.randint(1, num_items - 1))
        catalog = catalog.with_retired([str(item) for item in gone])
    histories = torch.randint(-1, num_items, (num_users, 3), generator=generator)
    shapes = (None, None, (num_items,), (num_users, num_items))
    shape = choice.choice(shapes)
    share = choice.choice((0.1, 0.5, 0.9))
    allowed = None if shape is None else torch.rand(shape, generator=generator) < share
    eligible = allowed
    if allowed is not None and allowed.ndim == 2 and choice.random() < 0.5:
        only = choice.random() < 0.5
        listed = allowed if only else ~allowed
        eligible = ListedItems(torch.where(listed, torch.arange(num_items), -1), only)
    return RandomSearch(
        backbone=TableBackbone(
            vocab_size + choice.randint(0, 2),
            seed=seed % 2**31,
            num_values=choice.choice((None, None, None, 1, 2)),
        ),
        histories=histories.sort(dim=1, descending=True).values,
        catalog=catalog,
        top_k=choice.choice((1, 2, 3, 5, 8, 30)),
        mask=choice.choice(("after", "before")),
        eligible=eligible,
        allowed=allowed,
        paths=paths,
    )


def assert_ranked(result: SearchResult, user: int, expected: Ranking) -> None:
    """Hold one user's padded tensors to naive lists.

    Raises:
        AssertionError: If leaves or items differ in value or order, or a score by 1e-9 nats.
    """
    for found, true in (
        (result.leaves[user].tolist(), expected.leaves),
        (result.items[user].tolist(), expected.items),
    ):
        assert found == true + [-1] * (len(found) - len(true)), (found, true)
    for scores, trues in (
        (result.leaf_log_probs[user].tolist(), expected.leaf_log_probs),
        (result.log_probs[user].tolist(), expected.log_probs),
    ):
        padded = trues + [-math.inf] * (len(scores) - len(trues))
        close = (math.isclose(a, b, abs_tol=1e-9) for a, b in zip(scores, padded, strict=True))
        assert all(close), (scores, padded)
