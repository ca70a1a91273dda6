"""Ids as numbers."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.data.id_codes import IdEncoder, check_ids, numbered_by_first_row, only_named

parts = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6), max_size=5)


def int32(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


@given(parts=parts)
def test_encoder_equals_a_dict(parts):
    encoder, numbers = IdEncoder(), {}
    for part in parts:
        encoder.add(pl.Series(part, dtype=pl.String))
    rows = [numbers.setdefault(text, len(numbers)) for part in parts for text in part]
    ids, codes = encoder.finish()
    assert (ids.to_list(), codes.tolist()) == (list(numbers), rows)
    assert (ids.dtype, codes.dtype) == (pl.String, np.int32)


@given(rows=st.lists(st.integers(0, 5), max_size=12))
def test_renumbering_keeps_what_rows_name(rows):
    ids, named = pl.Series(list("abcdef")), int32(*rows)
    texts = [ids[row] for row in rows]
    by_first, codes = numbered_by_first_row(ids, named)
    assert by_first.gather(codes).to_list() == texts
    assert by_first.to_list() == list(dict.fromkeys(texts))
    kept, codes = only_named(ids, named)
    assert kept.gather(codes).to_list() == texts
    assert kept.to_list() == sorted(set(texts))


def test_ids_are_distinct_texts_that_rows_name():
    check_ids("user_id", pl.Series(["a", "b"]), int32(0, 1, 1))
    with pytest.raises(ValueError, match=r"user_id is Int64: cast it to String"):
        check_ids("user_id", pl.Series([1]), int32(0))
    for ids in (["a", None], ["a", ""]):
        with pytest.raises(ValueError, match="user_id holds a null or an empty text"):
            check_ids("user_id", pl.Series(ids), int32(0))
    with pytest.raises(ValueError, match="user_id 'b' stands more than once"):
        check_ids("user_id", pl.Series(["a", "b", "b"]), int32(0))
    for rows in ((0, 2), (-1, 0)):
        with pytest.raises(ValueError, match=r"user_id: rows name .*, there are 2 ids"):
            check_ids("user_id", pl.Series(["a", "b"]), int32(*rows))
