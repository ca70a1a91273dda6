"""Sequences and the leave-one-out split: by hand, against a naive loop, on published data."""

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.interactions import Interactions
from beamwise.data.sources import SemanticIdJsonConfig, read_source
from beamwise.data.splitting import Sequences, leave_one_out, sequences_of


def sequences_with(lengths: list[int]) -> Sequences:
    starts = torch.tensor([0, *lengths]).cumsum(0)
    items = torch.arange(sum(lengths), dtype=torch.int32)
    return Sequences(pl.Series([f"u{i}" for i in range(len(lengths))]), items, starts)


def pairs(targets) -> list[tuple[int, int]]:
    return list(zip(targets.users.tolist(), targets.positions.tolist(), strict=True))


def test_sequences_golden():
    rows = [("b", "x", 5), ("a", "y", 9), ("b", "z", 1)]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64}
    interactions = Interactions(pl.DataFrame(rows, schema=schema, orient="row"))
    sequences = sequences_of(interactions, pl.Series("item_id", ["w", "x", "y", "z"]))
    assert sequences.user_ids.to_list() == ["b", "a"]
    assert sequences.items.tolist() == [3, 1, 2]  # b took z at 1 and x at 5
    assert sequences.starts.tolist() == [0, 2, 3]


def test_sequences_errors():
    table = pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "timestamp": [0]})
    with pytest.raises(ValueError, match=r"item 'x' of the interactions is none of the 1 items"):
        sequences_of(Interactions(table), pl.Series(["y"]))
    with pytest.raises(ValueError, match=r"item id 'x' stands more than once"):
        sequences_of(Interactions(table), pl.Series(["x", "y", "x"]))


def test_split_golden():
    # Five items: 1 and 2 are trained on, 3 validates, 4 tests. Two items: only a test target.
    split = leave_one_out(sequences_with([5, 2]))
    assert pairs(split.train) == [(0, 1), (0, 2)]
    assert pairs(split.validation) == [(0, 3)]
    assert pairs(split.test) == [(0, 4), (1, 1)]


@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=8))
def test_split_equals_a_naive_loop(lengths):
    split = leave_one_out(sequences_with(lengths))
    train, validation, test = [], [], []
    for user, length in enumerate(lengths):
        train += [(user, position) for position in range(1, length - 2)]
        validation += [(user, length - 2)] if length >= 3 else []
        test += [(user, length - 1)] if length >= 2 else []
    assert pairs(split.train) == train
    assert pairs(split.validation) == validation
    assert pairs(split.test) == test


@pytest.mark.parametrize(
    ("name", "num_train", "num_users"), [("office", 38_543, 4_905), ("beauty", 131_413, 22_363)]
)
def test_published_counts(data_folder, name, num_train, num_users):
    dataset = read_source(SemanticIdJsonConfig(folder=data_folder / name))
    split = leave_one_out(sequences_of(dataset.interactions, dataset.items["item_id"]))
    parts = (split.train, split.validation, split.test)
    assert [len(part.users) for part in parts] == [num_train, num_users, num_users]
