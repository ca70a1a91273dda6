"""The deterministic top k and the layout of flat values in tables."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwise.decoding.ranking import layout, ranked_top_k, stable_top_k, unrolled


def test_golden_ties_go_to_the_first_columns():
    scores = torch.tensor([[1.0, 2.0, 1.0, 3.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert stable_top_k(scores, 3).tolist() == [[0, 1, 3], [0, 1, 2]]
    assert ranked_top_k(scores, 3).tolist() == [[3, 1, 0], [0, 1, 2]]


@settings(deadline=None)
@given(
    rows=st.integers(1, 8).flatmap(
        lambda columns: st.lists(
            st.lists(st.sampled_from([-torch.inf, -2.0, -1.0, 0.0]), min_size=columns,
                     max_size=columns), min_size=1, max_size=4,
        )
    ),
    k=st.integers(1, 9),
)  # fmt: skip
def test_equals_a_stable_sort(rows, k):
    ranked = [sorted(range(len(row)), key=lambda c, row=row: (-row[c], c))[:k] for row in rows]
    scores = torch.tensor(rows)
    assert ranked_top_k(scores, k).tolist() == ranked
    assert stable_top_k(scores, k).tolist() == [sorted(columns) for columns in ranked]


def test_layout_pads_rows_and_keeps_empty_ones():
    place = layout(torch.tensor([0, 0, 2]), num_rows=4)
    table = place.table(torch.tensor([5, 6, 7]), -1)
    assert table.tolist() == [[5, 6], [-1, -1], [7, -1], [-1, -1]]
    assert layout(torch.empty(0, dtype=torch.int64), num_rows=0).num_columns == 0


def test_golden_unrolled():
    owner, number = unrolled(torch.tensor([2, 0, 3]))
    assert owner.tolist() == [0, 0, 2, 2, 2]
    assert number.tolist() == [0, 1, 0, 1, 2]
    assert [len(part) for part in unrolled(torch.zeros(0, dtype=torch.int64))] == [0, 0]
