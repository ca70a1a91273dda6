"""Figures on titles: worked by hand, and against a naive walk over the tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwise.catalog import Catalog
from beamwise.tokenization.title_quality import WIDE, measure_titles


def catalog_of(paths: list[tuple[int, ...]]) -> Catalog:
    lengths = [len(path) for path in paths]
    tokens = np.zeros((len(paths), max(lengths)), dtype=np.int64)
    for row, path in zip(tokens, paths, strict=True):
        row[: len(path)] = path
    return Catalog.from_tokens(tokens, lengths, end_token=1, vocab_size=40)


def test_golden():
    # Titles 2 3, 2 3 4 (twice) and 5, each with the end token 1. The root has children 2 and 5;
    # after 2 comes 3 only; after 2 3 the end or 4; after 2 3 4 and after 5 the end only.
    quality = measure_titles(
        catalog_of([(2, 3), (2, 3, 4), (2, 3, 4), (5,)]), ["ab", "abc", "abc", "d"]
    )
    assert (quality.num_items, quality.distinct_titles) == (4, 3)
    assert (quality.sharing_items, quality.largest_group) == (2, 2)
    assert quality.titles_that_begin_others == 1
    assert (quality.tokens, quality.tokens_median, quality.tokens_max) == (3, 3, 4)
    # branching: root for all three, 2 3 for two of them; of 3 + 4 + 2 = 9 steps 4 are forced.
    assert quality.branching_steps == pytest.approx(5 / 3)
    assert quality.forced_steps == pytest.approx(4 / 3)
    assert quality.forced_share == pytest.approx(4 / 9)
    assert quality.wide_steps == 0
    # 2 3 1 is alone after 3 tokens, 2 3 4 after 3, 5 after 1
    assert quality.steps_until_decided == pytest.approx(7 / 3)
    assert (quality.first_tokens, quality.widest_step) == (2, 2)


def test_one_title():
    quality = measure_titles(catalog_of([(2, 3)]), ["a"])
    assert (quality.tokens, quality.forced_share, quality.branching_steps) == (3, 1, 0)
    assert quality.steps_until_decided == 0


def test_more_children_than_beams_is_wide():
    paths = [(2, 3 + n) for n in range(WIDE + 1)]
    assert measure_titles(catalog_of(paths), [str(p) for p in paths]).wide_steps == 1
    assert measure_titles(catalog_of(paths[1:]), [str(p) for p in paths[1:]]).wide_steps == 0


@given(
    paths=st.lists(
        st.lists(st.integers(2, 4), min_size=1, max_size=4).map(tuple), min_size=1, max_size=12
    )
)
def test_equals_a_naive_walk(paths):
    quality = measure_titles(catalog_of(paths), ["".join(map(str, path)) for path in paths])
    distinct = sorted({(*path, 1) for path in paths})
    forced = branching = decided = 0
    for path in distinct:
        for step in range(len(path)):
            following = {other[step] for other in distinct if other[:step] == path[:step]}
            forced += len(following) == 1
            branching += len(following) > 1
            decided += sum(other[:step] == path[:step] for other in distinct) > 1
    assert quality.tokens == pytest.approx(sum(map(len, distinct)) / len(distinct))
    assert quality.forced_steps == pytest.approx(forced / len(distinct))
    assert quality.branching_steps == pytest.approx(branching / len(distinct))
    assert quality.steps_until_decided == pytest.approx(decided / len(distinct))
    begins = sum(any(o != p and o[: len(p) - 1] == p[:-1] for o in distinct) for p in distinct)
    assert quality.titles_that_begin_others == begins


def test_figures_for_machines_and_readers():
    quality = measure_titles(catalog_of([(2, 3), (2, 4)]), ["ab", "ac"])
    figures = quality.as_dict()
    assert figures["forced_share"] == pytest.approx(2 / 3)
    assert figures["distinct_titles"] == 2
    assert quality.facts()["forced steps"] == "2.0 (67 %)"
    assert quality.facts()["tokens of a title, end token included"] == "mean 3.0, median 3, max 3"
