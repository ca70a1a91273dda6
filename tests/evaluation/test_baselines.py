"""Baselines by hand and against naive loops over users, items and histories."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.data.splitting import Sequences, Targets
from beamwise.evaluation import EvaluationConfig, baselines, evaluate_baseline
from beamwise.evaluation.baselines import (
    BASELINES,
    UNIT,
    Baseline,
    ItemKnn,
    ItemKnnConfig,
    Popularity,
    PopularityConfig,
)
from beamwise.evaluation.metrics import metrics_at
from beamwise.sequences.windows import Windows


def sequences_of(*users: list[int]) -> Sequences:
    items = torch.tensor([item for user in users for item in user], dtype=torch.int32)
    starts = torch.tensor([0, *map(len, users)]).cumsum(0)
    ids = pl.Series("user_id", [f"u{u}" for u in range(len(users))], dtype=pl.String)
    return Sequences(ids, items, starts, torch.arange(len(items)))


def padded(*histories: list[int]) -> torch.Tensor:
    width = max(1, *map(len, histories))
    return torch.tensor([[*items, *[-1] * (width - len(items))] for items in histories])


# Users of item 0: a b c; of 1: a b; of 2: a c c (once); of 3: d; of 4: nobody.
GOLDEN = sequences_of([0, 1, 2], [0, 1], [2, 0, 2], [3])


def test_popularity_golden():
    # Interactions: 3 2 3 1 0; items 0 and 2 are tied and stand by their index.
    popularity = Popularity(PopularityConfig(), GOLDEN, 5)
    assert popularity.places.tolist() == [0, 2, 1, 3, 4]
    assert popularity.scores(padded([0, 1], [3])).toarray().tolist() == [[0] * 5] * 2


def test_item_knn_golden():
    # cos(0, 1) = 2 / sqrt(3 * 2), the same for (0, 2); cos(1, 2) = 1 / sqrt(2 * 2).
    knn = ItemKnn(ItemKnnConfig(), GOLDEN, 5)
    far, near = 1 / 2, 2 / math.sqrt(6)
    scores = knn.scores(padded([0], [1, 2], [1, 1, 3], [])).toarray() / UNIT
    expected = [
        [0, near, near, 0, 0],
        [2 * near, far, far, 0, 0],
        [2 * near, 0, 2 * far, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(scores, expected, atol=3 / UNIT)


def test_of_equally_similar_items_the_more_popular_are_kept():
    # Items 1 and 2 are as similar to 0; 2 has more interactions, though not more users.
    train = sequences_of([0, 1, 2, 2])
    scores = ItemKnn(ItemKnnConfig(neighbours=1), train, 3).scores(padded([0])).toarray()
    assert scores.tolist() == [[0, 0, UNIT]]


def test_data_are_left_as_they_are():
    train = sequences_of([2, 0, 2, 1], [1, 0])
    before = train.items.clone(), train.starts.clone()
    ItemKnn(ItemKnnConfig(), train, 3)
    assert torch.equal(train.items, before[0])
    assert torch.equal(train.starts, before[1])


def naive_scores(users: list[list[int]], history: list[int], num_items: int, neighbours: int):
    """Cosine scores in whole units, one pair of items at a time."""
    takers = [{u for u, items in enumerate(users) if i in items} for i in range(num_items)]
    popularity = Counter(item for user in users for item in user)
    scores = [0] * num_items
    for i in history:
        similar = []
        for j in set(range(num_items)) - {i}:
            common = len(takers[i] & takers[j])
            if common:
                cosine = common / math.sqrt(len(takers[i]) * len(takers[j]))
                similar.append((-round(cosine * UNIT), -popularity[j], j))
        for similarity, _, j in sorted(similar)[:neighbours]:
            scores[j] -= similarity
    return scores


ITEM = st.integers(0, 11)


@given(
    users=st.lists(st.lists(ITEM, max_size=6), min_size=1, max_size=8),
    histories=st.lists(st.lists(ITEM, max_size=4), min_size=1, max_size=4),
    neighbours=st.integers(1, 12),
    at_once=st.sampled_from([1, 20, 1 << 21]),
)
def test_item_knn_equals_a_naive_loop(users, histories, neighbours, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "ENTRIES_AT_ONCE", at_once)
        knn = ItemKnn(ItemKnnConfig(neighbours=neighbours), sequences_of(*users), 12)
    found = knn.scores(padded(*histories)).toarray().tolist()
    assert found == [naive_scores(users, history, 12, neighbours) for history in histories]


@given(order=st.permutations(range(6)))
def test_the_order_of_a_history_changes_nothing(order):
    train = sequences_of(*[[u % 6, (u * 5) % 9, (u * 7) % 11] for u in range(30)])
    knn = ItemKnn(ItemKnnConfig(), train, 11)
    scores = knn.scores(padded(list(range(6)), list(order))).toarray()
    assert scores[0].tolist() == scores[1].tolist()


def test_registry_makes_baselines_with_their_defaults():
    assert list(BASELINES) == ["popularity", "item-kNN"]
    for name, kind in BASELINES.items():
        baseline = kind.fit(kind.config(), GOLDEN, 5)
        assert isinstance(baseline, Baseline)
        assert baseline.config.name == name


NUM_USERS = 13


def drawn(lengths: list[int], seed: int) -> Sequences:
    """Users with so many of 20 items."""
    items = np.random.default_rng(seed).integers(0, 20, sum(lengths)).tolist()
    return sequences_of(*(items[sum(lengths[:u]) :][:n] for u, n in enumerate(lengths)))


def make_catalog() -> Catalog:
    """20 items on 3 levels of 4 codes, items 16 to 19 on the leaves of items 0 to 3."""
    numbers = np.random.default_rng(3).permutation(64)[:16]
    numbers = np.concatenate([numbers, numbers[:4]])
    return Catalog.from_codes(np.stack([numbers // 16, numbers // 4 % 4, numbers % 4], 1), 4)


def make_windows() -> Windows:
    """User u has 2 + u % 5 items, and the last is the target."""
    lengths = [2 + u % 5 for u in range(NUM_USERS)]
    targets = Targets(torch.arange(NUM_USERS), torch.tensor(lengths) - 1)
    return Windows(drawn(lengths, seed=4), targets)


@pytest.mark.parametrize("batch_size", [4, 20])
def test_a_baseline_is_counted_as_a_search_is(batch_size):
    catalog, windows, train = make_catalog(), make_windows(), drawn([5] * 12, seed=5)
    config = EvaluationConfig(ks=(1, 3, 20), beam_width=20, batch_size=batch_size, full_sort=True)
    for baseline in (
        Popularity(PopularityConfig(), train, 20),
        ItemKnn(ItemKnnConfig(neighbours=4), train, 20),
    ):
        found = evaluate_baseline(baseline, windows, catalog, config)
        assert found.baseline == baseline.config
        assert found.survival is None
        assert not found.config.full_sort
        rows = torch.arange(NUM_USERS)
        scores = baseline.scores(windows.histories(rows)).toarray()
        targets = windows.targets(rows).tolist()
        for row, target in enumerate(targets):
            ranked = sorted(range(20), key=lambda i: (-scores[row, i], baseline.places[i]))
            leaves = list(dict.fromkeys(int(catalog.leaf_of_item[item]) for item in ranked))
            target_leaf = catalog.leaf_of_item[target][None].long()
            sizes = torch.bincount(catalog.leaf_of_item)[leaves]
            by_id = metrics_at(
                torch.tensor([leaves]), target_leaf, sizes[None], sizes[:1], config.ks
            )
            line = found.per_user.row(row, named=True)
            assert line["item_rank"] == ranked.index(target) + 1
            for name in ("leaf_rank", "recall@1", "ndcg@1", "recall@3", "ndcg@3", "ndcg@20"):
                assert line[name] == by_id[name].item()
            for k in (1, 3, 20):
                hit = line["item_rank"] <= k
                assert line[f"recall@{k}_by_item"] == hit
                gain = 1 / math.log2(1 + line["item_rank"]) if hit else 0
                assert line[f"ndcg@{k}_by_item"] == pytest.approx(gain)
        assert found.summary["recall@20_by_item"] == 1
        assert found.summary["recall@3"] == found.per_user["recall@3"].mean()
        assert "exact" not in found.summary


def test_a_baseline_refuses_what_a_search_refuses():
    small = Catalog.from_codes(torch.tensor([[0], [1]]), codebook_size=64)
    baseline = Popularity(PopularityConfig(), sequences_of([0, 1, 0]), 2)
    with pytest.raises(ValueError, match=r"a target has item index \d+, .* items 0\.\.1: use"):
        evaluate_baseline(baseline, make_windows(), small, EvaluationConfig())
