"""The k-core: by hand, against a naive loop, and its fixed point."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.filtering import gathered_core, k_core
from beamwise.data.interactions import Interactions
from beamwise.data.raw_interactions import Gathered

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


def test_what_became_of_the_rows():
    rows = [("a", "u"), ("a", "v"), ("b", "u"), ("b", "v"), ("c", "w")]
    gathered = Gathered(interactions_of(rows), num_rows=9, num_dropped=3)
    kept, notes = gathered_core(gathered, 2, Path("x.csv"), {"dropped_early": 1})
    assert len(kept) == 4
    assert list(notes.items()) == [
        ("rows_read", 9), ("duplicates_dropped", 3), ("dropped_early", 1),
        ("dropped_outside_core", 1),
    ]  # fmt: skip
    assert gathered_core(gathered, 0, Path("x.csv"))[0] is gathered.interactions
    message = (
        r"x.csv has 5 interactions of 3 users with 3 items, and none is left in their 3-core: "
        r"lower min_interactions \(0 keeps all\)"
    )
    with pytest.raises(ValueError, match=message):
        gathered_core(gathered, 3, Path("x.csv"))
