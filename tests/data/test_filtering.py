"""The k-core: by hand, against a naive loop, and its fixed point."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.filtering import k_core
from beamwise.data.interactions import Interactions

pairs = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), min_size=1, max_size=40
)


def interactions_of(rows: list[tuple[str, str]]) -> Interactions:
    table = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
    times = pl.int_range(pl.len(), dtype=pl.Int64)
    return Interactions.from_table(table.with_columns(timestamp=times))


def naive_core(rows: list[tuple[str, str, int]], k: int) -> list[tuple[str, str, int]]:
    """Drop one offending interaction at a time."""
    while True:
        users, items = Counter(r[0] for r in rows), Counter(r[1] for r in rows)
        bad = [r for r in rows if users[r[0]] < k or items[r[1]] < k]
        if not bad:
            return rows
        rows = [r for r in rows if r != bad[-1]]


def test_golden():
    # Item z has one interaction; without it user c has one, then c goes and x stays with a and b.
    rows = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x"), ("c", "z")]
    core = k_core(interactions_of(rows), 2)
    assert core.table.rows() == [("a", "x", 0), ("a", "y", 1), ("b", "x", 2), ("b", "y", 3)]


@given(rows=pairs, k=st.integers(1, 4))
def test_equals_a_naive_loop(rows, k):
    interactions = interactions_of(rows)
    expected = naive_core(interactions.table.rows(), k)
    if expected:
        assert k_core(interactions, k).table.rows() == expected
    else:
        with pytest.raises(ValueError, match=f"{k}-core"):
            k_core(interactions, k)


@given(rows=pairs, k=st.integers(1, 3))
def test_is_a_fixed_point_and_idempotent(rows, k):
    try:
        core = k_core(interactions_of(rows), k)
    except ValueError:
        return
    for name in ("user_id", "item_id"):
        assert core.table.group_by(name).len()["len"].min() >= k
    assert k_core(core, k).table.equals(core.table)


def test_one_keeps_everything():
    interactions = interactions_of([("a", "x"), ("b", "y")])
    assert k_core(interactions, 1).table.equals(interactions.table)


def test_published_data_are_their_own_five_core(data_folder):
    from beamwise.data.sources import SemanticIdJsonConfig, read_source

    interactions = read_source(SemanticIdJsonConfig(folder=data_folder / "office")).interactions
    assert len(k_core(interactions, 5)) == 53_258


def test_errors():
    interactions = interactions_of([("a", "x"), ("b", "y")])
    with pytest.raises(ValueError, match=r"must be >= 1, got 0"):
        k_core(interactions, 0)
    with pytest.raises(ValueError, match=r"no interaction is left in the 2-core of 2: lower k"):
        k_core(interactions, 2)
